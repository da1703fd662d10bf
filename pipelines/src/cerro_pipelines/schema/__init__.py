"""The data model of a reduction: which columns each table has, and its Felis schema."""

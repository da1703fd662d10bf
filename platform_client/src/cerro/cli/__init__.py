"""The ``cerro`` command. Other packages add theirs by entry points of group ``cerro.commands``."""

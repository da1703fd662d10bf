"""Tables that users keep: uploads and results, shared and expiring."""

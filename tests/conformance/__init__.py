"""Whether others' programs and schemas find fault with what the services say."""

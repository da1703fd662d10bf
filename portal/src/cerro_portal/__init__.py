"""Cerro's portal: the home page now, the survey in a browser later.

It talks to the services over HTTP only, as any outsider does.
"""

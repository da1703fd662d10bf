"""What holds for every test."""

import signal

# A shell that starts the tests in the background lets them ignore Ctrl-C, and so would every
# platform that a test starts and stops by it.
signal.signal(signal.SIGINT, signal.default_int_handler)

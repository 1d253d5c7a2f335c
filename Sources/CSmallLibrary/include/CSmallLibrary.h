// Nothing to call: what is linked here takes the C library's own names.

#pragma once
// Later versions mark what is called here as deprecated; it stays (stable ABI) and works alike in 1.18 and after.
#define CARES_NO_DEPRECATED
#include <errno.h>
#include <netdb.h>
#include <sys/random.h>
#include <sys/time.h>
#include <sys/uio.h>

#include <ares.h>

// errno is a macro around a function call; a socket function that c-ares calls answers through it.
static inline void cares_set_errno(int number) { errno = number; }

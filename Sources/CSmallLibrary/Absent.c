// Parts of the C library (glibc) that the static gateway file leaves out. Its archive brings them because something that
// nobody calls here could need them; where a name is defined before the archive is searched, they stay out, and with them
// what they need. docs/performance.md ("Footprint") has what each group is worth.
//
// A name that is internal to the C library may be another one in another version: then nothing refers to the one here,
// and the file is only bigger.
#include <locale.h>
#include <stdio.h>
#include <unistd.h>

_Noreturn void abort(void);

static void absent(void) {
  static const char message[] = "mifd: a part of the C library is called that this file is built without: "
                                "Sources/CSmallLibrary/Absent.c names them\n";
  (void)!write(STDERR_FILENO, message, sizeof message - 1);
  abort();
}

#define ABSENT(name) void name(void) __attribute__((alias("absent")));

// Name services, which a static file can't have: libnl and c-ares have functions that would ask them.
ABSENT(getaddrinfo)
ABSENT(getnameinfo)
ABSENT(getprotobyname)
ABSENT(getprotobynumber)
ABSENT(getservbyname)
ABSENT(getservbyport_r)

// Numbers with a fraction, and scanf(3): libnl reads and writes traffic control's rates with them.
ABSENT(__isoc99_fscanf)
ABSENT(__isoc99_sscanf)
ABSENT(__printf_fp)
ABSENT(__printf_fphex)
ABSENT(strtod)

// Streams and formats of wide characters, and with them conversion between character sets, whose modules the C library
// would load. Only a stream that fwide(3) or fopen(3)'s "ccs=" has made one gets there.
ABSENT(_IO_fwide)
ABSENT(__gconv_release_step)
ABSENT(__libio_codecvt_encoding)
ABSENT(__libio_codecvt_in)
ABSENT(__libio_codecvt_length)
ABSENT(__libio_codecvt_out)
ABSENT(__wcrtomb)
ABSENT(__wcsrtombs)
const void *__wcsmbs_gconv_fcts_c[4];
int __gconv_lock;
int __wcsmbs_named_conv(void *functions, const char *name) {
  return 1;
}

// Unwinding of stacks: nothing throws as C++ does, no thread is cancelled.
ABSENT(_Unwind_Resume)
ABSENT(__gcc_personality_v0)

// Other languages than English. libnl copes with a locale that can't be made: then a message of its own says so.
char *__dcgettext(const char *domain, const char *message, int category) {
  return (char *)message;
}
locale_t newlocale(int categories, const char *name, locale_t base) {
  return 0;
}
void freelocale(locale_t locale) {}

// Where libraries would be loaded from.
void _dl_init_paths(const char *path, const char *source, const char *prepended, const char *mask) {}

// The original can say it to a stream of wide characters too.
_Noreturn void __assert_fail(const char *assertion, const char *file, unsigned int line, const char *function) {
  dprintf(STDERR_FILENO, "%s:%u: %s: Assertion `%s' failed.\n", file, line, function, assertion);
  abort();
}

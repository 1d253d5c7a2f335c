// Functions for strings that are never called often here. glibc has each in up to seven variants, for as many generations
// of processors, and links all of them: 100 KB. memcpy, memmove, memset, memcmp and strlen stay its own.
#include <stddef.h>

static int lower(char character) {
  return character >= 'A' && character <= 'Z' ? character + ('a' - 'A') : (unsigned char)character;
}

size_t strnlen(const char *string, size_t limit) {
  size_t length = 0;
  while (length < limit && string[length]) length++;
  return length;
}
size_t __strnlen(const char *string, size_t limit) __attribute__((alias("strnlen")));

char *strchr(const char *string, int wanted) {
  for (; *string != (char)wanted; string++)
    if (!*string) return NULL;
  return (char *)string;
}

char *strrchr(const char *string, int wanted) {
  const char *last = NULL;
  do
    if (*string == (char)wanted) last = string;
  while (*string++);
  return (char *)last;
}

int strncmp(const char *one, const char *other, size_t limit) {
  for (; limit; one++, other++, limit--)
    if (*one != *other || !*one) return (unsigned char)*one - (unsigned char)*other;
  return 0;
}

int strcmp(const char *one, const char *other) {
  return strncmp(one, other, (size_t)-1);
}

int strncasecmp(const char *one, const char *other, size_t limit) {
  for (; limit; one++, other++, limit--)
    if (lower(*one) != lower(*other) || !*one) return lower(*one) - lower(*other);
  return 0;
}

int strcasecmp(const char *one, const char *other) {
  return strncasecmp(one, other, (size_t)-1);
}

char *stpcpy(char *target, const char *source) {
  while ((*target = *source++)) target++;
  return target;
}
char *__stpcpy(char *target, const char *source) __attribute__((alias("stpcpy")));

char *strcpy(char *target, const char *source) {
  stpcpy(target, source);
  return target;
}

char *strncpy(char *target, const char *source, size_t size) {
  for (size_t place = 0; place < size; place++) {
    target[place] = *source;
    if (*source) source++;
  }
  return target;
}

char *strncat(char *target, const char *source, size_t limit) {
  char *end = strchr(target, 0);
  while (limit-- && *source) *end++ = *source++;
  *end = 0;
  return target;
}

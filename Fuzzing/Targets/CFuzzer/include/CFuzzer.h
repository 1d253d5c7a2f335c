#ifndef CFUZZER_H
#define CFUZZER_H

#include <stddef.h>
#include <stdint.h>

/// libFuzzer's own mutations, for mutators that mend what these break.
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maximum);

#endif

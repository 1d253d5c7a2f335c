#ifndef CFUZZER_H
#define CFUZZER_H

#include <stddef.h>
#include <stdint.h>

/// libFuzzer's own mutations, for mutators that mend what these break.
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maximum);

/// Bytes on the heap now, of all threads.
size_t fuzzing_allocated(void);

/// A file without a name, in memory. -1 with errno.
int fuzzing_memory_file(void);

/// Leaves the network that this process was started in for an empty one; where that takes a privilege that it lacks, in
/// a user namespace in which it is who it was. 0, or -1 with errno.
int fuzzing_leave_network(void);
/// Gives the loopback interface an address, written as in text, with its prefix length, and waits until it can be
/// bound. 0, or -1 with errno.
int fuzzing_add_address(const char *address, unsigned prefix_length);

/// A socket of SOCK_STREAM, listening, or SOCK_DGRAM at an address and port. -1 with errno.
int fuzzing_serve(int type, const char *address, uint16_t port, int backlog);
/// The next connection. -1 with errno.
int fuzzing_accept(int listener);
/// A connection under way. -1 with errno.
int fuzzing_connect(const char *address, uint16_t port);
/// Closes a connection by a reset, so that nothing of it stays.
void fuzzing_reset(int connection);
/// recvfrom(2): fills `sender` with its address.
ptrdiff_t fuzzing_receive(int socket, uint8_t *bytes, size_t size, uint8_t sender[28], uint32_t *sender_size);

/// One end of an Internet socket, the peer's or its own: 16 bytes, for IPv4 as ::ffff:0:0/96 has it. The port, or -1.
int fuzzing_end(int socket, int is_peer, uint8_t address[16]);
/// SO_BINDTOIFINDEX.
int fuzzing_interface(int socket);
int fuzzing_is_blocking(int socket);

/// How many descriptors this process has open.
int fuzzing_open_descriptors(void);

#endif

import CLinux

/// Memory shared with the kernel or with another process: mmap(2), munmap(2).
@usableFromInline
@safe package struct SharedMemory: ~Copyable {
  @usableFromInline package let base: UnsafeMutableRawPointer
  @usableFromInline package let size: Int

  /// The first `size` bytes of what is behind the descriptor. To write to memory that is mapped to be read is a fault.
  package init(_ descriptor: borrowing Descriptor, size: Int, isWritable: Bool = true) throws(Errno) {
    guard let base = unsafe clinux_map_shared(descriptor.number, size, isWritable ? 1 : 0) else { throw Errno.current }
    unsafe self.base = base
    self.size = size
  }

  // Embedded Swift wants to see a noncopyable value's deinit in whichever module holds one: hence inlinable.
  @inlinable deinit { unsafe unmap(base, size) }
}

@usableFromInline
package func unmap(_ base: UnsafeMutableRawPointer, _ size: Int) { _ = unsafe munmap(base, size) }

import CLinux
import Platform

/// Memory that the kernel shares with us: mmap(2), munmap(2).
@usableFromInline
@safe struct SharedMemory: ~Copyable {
  @usableFromInline let base: UnsafeMutableRawPointer
  @usableFromInline let size: Int

  init(_ descriptor: borrowing Descriptor, size: Int) throws(Errno) {
    guard let base = unsafe clinux_map_shared(descriptor.number, size) else { throw Errno.current }
    unsafe self.base = base
    self.size = size
  }

  // Embedded Swift wants to see a noncopyable value's deinit in whichever module holds one: hence inlinable.
  @inlinable deinit { unsafe unmap(base, size) }
}

@usableFromInline
func unmap(_ base: UnsafeMutableRawPointer, _ size: Int) { _ = unsafe munmap(base, size) }

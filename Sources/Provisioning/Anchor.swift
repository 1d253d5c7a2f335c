import Synchronization

/// Keeps the struct that has one where it is: never read, it stands for a value whose bytes can't be elsewhere, as an atomic's
/// can't. Without it whoever lends a large struct to a function, or to a method of its own, has the compiler copy it first, with a
/// retain for each of its lists, also where it is `~Copyable`.
struct Anchor: ~Copyable, Sendable { private let place = Atomic<Bool>(false) }

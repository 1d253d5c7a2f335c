import CFuzzer
import Glibc

/// The one that this process runs: FUZZ_TARGET names it.
nonisolated(unsafe) private var target: (any FuzzTarget)?

/// What each program begins with, in `LLVMFuzzerInitialize`. `FUZZ_LIST=1`: the targets' names and what libFuzzer is to
/// be told of each, one a line. `FUZZ_SEEDS=DIR`: writes the target's seeds there, made of the golden vectors in
/// `FUZZ_VECTORS` and of the captures in `FUZZ_PACKETS`.
package func choose(among targets: [any FuzzTarget.Type]) {
  if environment("FUZZ_LIST") != nil {
    for target in targets { print(target.name, target.maximumLength) }
    exit(0)
  }
  let name = environment("FUZZ_TARGET") ?? ""
  guard let chosen = targets.first(where: { $0.name == name }) else {
    complain("FUZZ_TARGET='\(name)' is no target; FUZZ_LIST=1 lists them")
    exit(2)
  }
  if let directory = environment("FUZZ_SEEDS"), let vectors = environment("FUZZ_VECTORS"),
    let packets = environment("FUZZ_PACKETS")
  {
    writeSeeds(of: chosen, vectors: vectors, packets: packets, to: directory)
    exit(0)
  }
  keepStandardError()
  unsafe target = chosen.init()
}

/// What an execution allocates, it gives back. Something may be made once and kept (a table, a buffer that grows): then
/// the same input, run again, leaves nothing more. `FUZZ_GROWTH=0` leaves that unchecked.
private let countsMemory = environment("FUZZ_GROWTH") != "0"
private let attempts = 4

@_cdecl("LLVMFuzzerTestOneInput")
public func runOne(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  var before = 0
  for _ in 0..<attempts {
    if countsMemory { before = fuzzing_allocated() }
    unsafe target!.run(unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: data, count: size)))
    if !countsMemory || fuzzing_allocated() <= before { return 0 }
  }
  check(false, "each time this runs, memory is left over: \(fuzzing_allocated() - before) bytes the last time")
  return 0
}

/// libFuzzer's own mutation, and most times what it broke of the message's outline mended, so that more of it is read.
@_cdecl("LLVMFuzzerCustomMutator")
public func mutate(_ data: UnsafeMutablePointer<UInt8>, _ size: Int, _ maximum: Int, _ seed: CUnsignedInt) -> Int {
  let size = unsafe LLVMFuzzerMutate(data, size, maximum)
  if seed % 4 != 0 { unsafe target!.mend(UnsafeMutableBufferPointer(start: data, count: size)) }
  return size
}

package func environment(_ name: String) -> String? { unsafe getenv(name).map { unsafe String(cString: $0) } }

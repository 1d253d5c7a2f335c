import CFuzzer
import Glibc

/// Every target. A new one is a file with a `FuzzTarget` in it, and its name here.
private var targets: [any FuzzTarget.Type] {
  [
    TriggerRequestTarget.self, TriggerMessageTarget.self, MIFRequestTarget.self, MIFMessageTarget.self,
    PacketTarget.self, HearingTarget.self, ResolverTarget.self, TriggerServiceTarget.self, MIFServiceTarget.self,
  ]
}

/// The one that this process runs: FUZZ_TARGET names it.
nonisolated(unsafe) private var target: any FuzzTarget = TriggerRequestTarget()

/// `FUZZ_LIST=1`: the targets' names and what libFuzzer is to be told of each, one a line. `FUZZ_SEEDS=DIR`: writes the
/// target's seeds there, made of the golden vectors in `FUZZ_VECTORS`.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(_ count: UnsafeMutablePointer<CInt>?, _ arguments: UnsafeMutableRawPointer?) -> CInt {
  LoopbackNetwork.enter()
  if environment("FUZZ_LIST") != nil {
    for target in targets { print(target.name, target.maximumLength) }
    exit(0)
  }
  let name = environment("FUZZ_TARGET") ?? ""
  guard let chosen = targets.first(where: { $0.name == name }) else {
    complain("FUZZ_TARGET='\(name)' is no target; FUZZ_LIST=1 lists them")
    exit(2)
  }
  if let directory = environment("FUZZ_SEEDS"), let vectors = environment("FUZZ_VECTORS") {
    writeSeeds(of: chosen, from: vectors, to: directory)
    exit(0)
  }
  keepStandardError()
  unsafe target = chosen.init()
  return 0
}

@_cdecl("LLVMFuzzerTestOneInput")
public func runOne(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  unsafe target.run(unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: data, count: size)))
  return 0
}

/// libFuzzer's own mutation, and most times what it broke of the message's outline mended, so that more of it is read.
@_cdecl("LLVMFuzzerCustomMutator")
public func mutate(_ data: UnsafeMutablePointer<UInt8>, _ size: Int, _ maximum: Int, _ seed: CUnsignedInt) -> Int {
  let size = unsafe LLVMFuzzerMutate(data, size, maximum)
  if seed % 4 != 0 { unsafe target.mend(UnsafeMutableBufferPointer(start: data, count: size)) }
  return size
}

func environment(_ name: String) -> String? { unsafe getenv(name).map { unsafe String(cString: $0) } }

import Fuzzing

@_cdecl("LLVMFuzzerInitialize")
public func initialize(_ count: UnsafeMutablePointer<CInt>?, _ arguments: UnsafeMutableRawPointer?) -> CInt {
  choose(among: [
    PacketTarget.self, BodyTarget<RouterAdvertisementBody>.self, BodyTarget<DHCPv4Body>.self,
    BodyTarget<DHCPv6Body>.self, BodyTarget<ICMPErrorBody>.self, BodyTarget<ICMPv6ErrorBody>.self, FrameTarget.self,
    AddressTarget.self, DomainNameTarget.self,
  ])
  return 0
}

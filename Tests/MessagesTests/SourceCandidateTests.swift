import Messages
import Testing
import Wire

/// Announced addresses as sources (RFC 6724 5), as clients see them.
@Suite struct SourceCandidateTests {
  private static let address = IPAddress.v6(IPv6Address(0x2001_0db8_0000_0000, 1))
  private static let prefix = IPPrefix(address, 64)

  private static let cases: [(AddressFlags, UInt32, SourceCandidate?)] = [
    ([], .max, SourceCandidate(prefix)),
    ([.permanent, .advertised], 600, SourceCandidate(prefix)),
    ([.deprecated], 600, SourceCandidate(prefix, isDeprecated: true)),
    ([], 0, SourceCandidate(prefix, isDeprecated: true)),
    ([.temporary], 600, SourceCandidate(prefix, isTemporary: true)),
    ([.secondary], 600, SourceCandidate(prefix, isSecondary: true)),
    ([.tentative], 600, nil),
    ([.duplicate], 600, nil),
  ]

  @Test(arguments: cases) func announced(_ flags: AddressFlags, preferred: UInt32, expected: SourceCandidate?) {
    let announced = AnnouncedAddress(Self.address, prefixLength: 64, flags: flags, preferredLifetime: preferred)
    #expect(SourceCandidate(announced) == expected)
  }
}

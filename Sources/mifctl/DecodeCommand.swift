import ArgumentParser
import Wire

#if Pcap
  import Capture
#endif

struct Decode: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows what the agent would understand of the packets in a capture file.",
    discussion: """
      Reads pcap and pcapng files of Ethernet (VLAN tags too), raw IP, Linux cooked captures and BSD loopback, and \
      needs no agent. Each packet is decoded as the agent decodes what it hears: Router Advertisements, DHCPv4, DHCPv6 \
      and ICMP errors with all that is in them, and why others were refused. Whether a packet then means anything to \
      a host, a DHCP reply to its own request say, is not asked: mifd --replay does that.

      mifctl decode uplink.pcap
      tcpdump -w - | mifctl decode -
      """)

  @OptionGroup var output: OutputOptions
  @Argument(help: ArgumentHelp("The capture file; - is standard input.", valueName: "file"))
  var file: String

  func run() throws {
    #if Pcap
      var packets = try open()
      var decoded: [(String, JSON)] = []
      while let frame = try next(&packets, { decoded = PacketObjects.packet($0, $1, $2) }) {
        let object = Decode.head(packets.counters.frames, frame) + (Decode.skipped(frame) ?? decoded)
        let lines = output.json ? [JSON.object(object).text] : PacketText.lines(object)
        for line in lines { try System.write(line: line) }
      }
    #else
      throw Complaint(lines: ["cannot read \(Text.printable(file)): this mifctl was built without libpcap"])
    #endif
  }

  #if Pcap
    private func open() throws -> CaptureFile {
      do throws(CaptureFileError) {
        return try CaptureFile(path: Array(file.utf8))
      } catch {
        throw Decode.complaint(error)
      }
    }

    private func next(
      _ packets: inout CaptureFile, _ body: (RawSpan, Family, Arrival) -> Void
    ) throws -> CaptureFrame? {
      do throws(CaptureFileError) {
        return try packets.nextFrame(body)
      } catch {
        throw Decode.complaint(error)
      }
    }

    private static func complaint(_ error: CaptureFileError) -> Complaint {
      Complaint(lines: [Text.printable(String(decoding: error.message, as: UTF8.self))])
    }

    /// What is known of every frame: its number in the file from 1, when, and where.
    private static func head(_ number: UInt64, _ frame: CaptureFrame) -> [(String, JSON)] {
      var vlans: [JSON] = []
      if frame.vlans >> 12 > 0 { vlans.append(.number(UInt64(frame.vlans >> 12))) }
      if frame.vlans > 0 { vlans.append(.number(UInt64(frame.vlans & 0xFFF))) }
      return [
        ("number", .number(number)), ("time_ns", .number(frame.timestamp)),
        ("ifindex", .number(UInt64(frame.interface))),
      ] + (vlans.isEmpty ? [] : [("vlans", .array(vlans))])
    }

    /// Why a frame is no packet to decode; nil where it is one.
    private static func skipped(_ frame: CaptureFrame) -> [(String, JSON)]? {
      switch frame.content {
      case .packet: nil
      case .notIP: [("skipped", .string("not-ip"))]
      case .otherHost: [("skipped", .string("other-host"))]
      case .cut: [("skipped", .string("cut"))]
      }
    }
  #endif
}

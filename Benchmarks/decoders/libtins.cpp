// libtins on the packets of packets.txt: parses each and reads what mifd reads of it. Prints "name nanoseconds" per
// packet, the least of all rounds. libtins checks no checksum.
#include <tins/tins.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace {

using Bytes = std::vector<uint8_t>;

uint64_t readAdvertisement(const Bytes &bytes) {
  Tins::IPv6 packet(bytes.data(), bytes.size());
  const auto &ra = packet.rfind_pdu<Tins::ICMPv6>();
  uint64_t sum = ra.hop_limit() + ra.router_lifetime() + ra.reachable_time() + ra.retransmit_timer();
  for (const auto &option : ra.options()) {
    switch (option.option()) {
    case Tins::ICMPv6::PREFIX_INFO: {
      auto value = Tins::ICMPv6::prefix_info_type::from_option(option);
      sum += value.prefix_len + value.valid_lifetime + value.preferred_lifetime + *value.prefix.begin();
      break;
    }
    case Tins::ICMPv6::MTU: sum += ra.mtu().second; break;
    case Tins::ICMPv6::SOURCE_ADDRESS: sum += option.data_ptr()[5]; break;
    case Tins::ICMPv6::RECURSIVE_DNS_SERV: {
      auto value = Tins::ICMPv6::recursive_dns_type::from_option(option);
      sum += value.lifetime;
      for (const auto &server : value.servers) sum += *server.begin();
      break;
    }
    case Tins::ICMPv6::DNS_SEARCH_LIST: {
      auto value = Tins::ICMPv6::dns_search_list_type::from_option(option);
      sum += value.lifetime;
      for (const auto &name : value.domains) sum += name.size();
      break;
    }
    case Tins::ICMPv6::ROUTE_INFO: {
      auto value = Tins::ICMPv6::route_info_type::from_option(option);
      sum += value.prefix_len + value.route_lifetime + value.prefix.size();
      break;
    }
    default: break;
    }
  }
  return sum;
}

uint64_t readAcknowledgement(const Bytes &bytes) {
  Tins::IP packet(bytes.data(), bytes.size());
  const auto &raw = packet.rfind_pdu<Tins::RawPDU>();
  Tins::DHCP dhcp(raw.payload().data(), raw.payload_size());
  uint64_t sum = dhcp.type() + dhcp.xid() + uint32_t(dhcp.yiaddr()) + uint32_t(dhcp.server_identifier());
  sum += dhcp.lease_time() + dhcp.renewal_time() + dhcp.rebind_time() + uint32_t(dhcp.subnet_mask());
  for (const auto &address : dhcp.routers()) sum += uint32_t(address);
  for (const auto &address : dhcp.domain_name_servers()) sum += uint32_t(address);
  sum += dhcp.domain_name().size();
  for (int code : {26, 42, 121}) {
    const auto *option = dhcp.search_option(Tins::DHCP::OptionTypes(code));
    if (option) sum += option->data_ptr()[option->data_size() - 1];
  }
  return sum;
}

uint64_t readError(const Bytes &bytes) {
  Tins::IP packet(bytes.data(), bytes.size());
  const auto &icmp = packet.rfind_pdu<Tins::ICMP>();
  const auto &raw = packet.rfind_pdu<Tins::RawPDU>();
  Tins::IP quoted(raw.payload().data(), raw.payload_size());
  const auto &tcp = quoted.rfind_pdu<Tins::TCP>();
  return icmp.type() + icmp.code() + uint32_t(quoted.dst_addr()) + tcp.sport() + tcp.dport() + tcp.seq();
}

Bytes bytesOf(const std::string &text) {
  Bytes bytes;
  for (size_t place = 0; place + 1 < text.size(); place += 2)
    bytes.push_back(uint8_t(std::stoul(text.substr(place, 2), nullptr, 16)));
  return bytes;
}

}  // namespace

int main(int count, char **arguments) {
  if (count != 3) return std::fprintf(stderr, "usage: libtins PACKETS REPETITIONS\n"), 2;
  std::ifstream file(arguments[1]);
  const long repetitions = std::atol(arguments[2]);
  uint64_t all = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name, text;
    if (!(words >> name >> text) || name == "#") continue;
    const Bytes bytes = bytesOf(text);
    auto read = name == "ra" ? readAdvertisement : name == "ack" ? readAcknowledgement : readError;
    double least = 1e9;
    for (int round = 0; round < 5; round++) {
      auto begin = std::chrono::steady_clock::now();
      for (long turn = 0; turn < repetitions; turn++) all += read(bytes);
      std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
      least = std::min(least, took.count() / double(repetitions));
    }
    std::printf("%s %.1f\n", name.c_str(), least);
  }
  return all == 0;
}

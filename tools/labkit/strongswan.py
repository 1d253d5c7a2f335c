"""strongSwan's charon as Debian packages it, one in a namespace, with a pre-shared key and, where a story wants no
traffic, childless (RFC 6023)."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from .daemons import program
from .processes import LabError
from .topology import Lab, Namespace
from .vici import Tree, Vici

CONNECTION = "lab"
CHILD = "traffic"
# As few as it can do with: some touch the machine (bypass-lan, resolve), and each takes time at the start.
_PLUGINS = "random nonce aes sha1 sha2 hmac kdf gmp openssl {kernel}kernel-netlink socket-default vici updown"

_STRONGSWAN = """charon-systemd {{
  load = {plugins}
  prefer_best_path = {best}
  journal {{
    default = -1
  }}
  filelog {{
    stderr {{
      default = 1
      flush_line = yes
    }}
  }}
  plugins {{
    vici {{
      socket = unix://{socket}
    }}
  }}
}}
"""

_SWANCTL = """connections {{
  {connection} {{
    version = 2
    mobike = yes
    childless = {childless}
    # swanctl's own default is none at all.
    dpd_delay = 30s
    remote_addrs = {remote}
    local {{
      auth = psk
      id = {own}
    }}
    remote {{
      auth = psk
      id = {other}
    }}
    children {{
{children}
    }}
  }}
}}
secrets {{
  ike-lab {{
    secret = "an open secret of the lab"
  }}
}}
"""

_CHILD = """      {name} {{
        local_ts = {0}
        remote_ts = {1}
      }}
"""


@dataclass(frozen=True)
class Settings:
    """What a story changes of charon's configuration."""

    prefer_best_path: bool = True
    traffic: tuple[str, str] | None = None
    """The two ends, local and remote, of a CHILD_SA; its packets go through kernel-libipsec's TUN device."""


class Charon:
    """One daemon. Its files are in the lab's directory, and its VICI socket is reachable from anywhere."""

    def __init__(
        self, lab: Lab, namespace: Namespace, remote: Sequence[str], other: str, settings: Settings = Settings()
    ) -> None:
        """`remote`: the other end's addresses, `%any` for a responder. `other`: the other end's name."""
        name = namespace.role
        directory = lab.directory(f"charon-{name}")
        self.socket = directory / "charon.vici"
        configuration, connections = directory / "strongswan.conf", directory / "swanctl.conf"
        configuration.write_text(
            _STRONGSWAN.format(
                plugins=_PLUGINS.format(kernel="kernel-libipsec " if settings.traffic else ""),
                best="yes" if settings.prefer_best_path else "no",
                socket=self.socket,
            )
        )
        connections.write_text(
            _SWANCTL.format(
                connection=CONNECTION,
                childless="never" if settings.traffic else "force",
                remote=",".join(remote),
                own=f"{name}.example",
                other=f"{other}.example",
                children=_CHILD.format(*settings.traffic, name=CHILD) if settings.traffic else "",
            )
        )
        self.child = lab.spawn(
            namespace,
            f"charon-{name}",
            program("charon-systemd"),
            environment={"STRONGSWAN_CONF": str(configuration)},
        )
        self.vici = Vici(self.socket)
        swanctl = [program("swanctl"), "--load-all", "--file", str(connections), "--uri", f"unix://{self.socket}"]
        done = subprocess.run(swanctl, capture_output=True, text=True, timeout=10, check=False)
        if done.returncode != 0:
            raise LabError(f"swanctl: {done.stderr}{done.stdout}")

    def initiate(self, with_child: bool = False) -> None:
        """Returns when the IKE_SA stands, and the CHILD_SA."""
        self.vici.command("initiate", {"child": CHILD} if with_child else {"ike": CONNECTION})

    @property
    def association(self) -> Tree:
        """The only IKE_SA."""
        [found] = self.vici.associations()
        return found

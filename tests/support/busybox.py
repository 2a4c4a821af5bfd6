"""A ``busybox:latest`` image as ``docker save`` would write it, made from Debian's busybox-static.

One layer, deterministic bytes, no network. Both Rundlet and dockerd load it.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import subprocess
import tarfile
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
REFERENCE = "busybox:latest"

_PASSWD = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\nnobody:x:65534:65534::/home:/bin/false\n"
_GROUP = "root:x:0:\ndaemon:x:1:\nwheel:x:10:root\nnogroup:x:65534:\n"
_DIRECTORIES = {"bin": 0o755, "dev": 0o755, "etc": 0o755, "home": 0o755, "proc": 0o755, "root": 0o700}
_DIRECTORIES |= {"sys": 0o755, "tmp": 0o1777, "usr": 0o755, "usr/bin": 0o755, "var": 0o755, "var/tmp": 0o1777}


def missing_busybox() -> str | None:
    """Why there can be no busybox image, or None."""
    if not BUSYBOX.exists():
        return "needs Debian's busybox-static (/bin/busybox)"
    if _has_interpreter(BUSYBOX.read_bytes()):
        return "needs Debian's busybox-static: /bin/busybox is linked dynamically"
    return None


def _has_interpreter(elf: bytes) -> bool:
    """Whether a 64-bit ELF file names a dynamic loader: a program header of type PT_INTERP (elf(5))."""
    offset, size, count = *struct.unpack_from("<Q", elf, 32), *struct.unpack_from("<HH", elf, 54)
    return any(struct.unpack_from("<I", elf, offset + index * size)[0] == 3 for index in range(count))


def build_layer() -> bytes:
    """The layer: an uncompressed tar."""
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, mode in _DIRECTORIES.items():
            _add(tar, name, mode=mode, kind=tarfile.DIRTYPE)
        _add(tar, "bin/busybox", BUSYBOX.read_bytes(), mode=0o755)
        for applet in applets:
            if applet != "busybox":
                _add(tar, f"bin/{applet}", kind=tarfile.LNKTYPE, link="bin/busybox", mode=0o755)
        _add(tar, "etc/passwd", _PASSWD.encode())
        _add(tar, "etc/group", _GROUP.encode())
    return out.getvalue()


def build_archive(reference: str = REFERENCE, layer: bytes | None = None) -> bytes:
    """A docker-archive that holds the one image ``reference``."""
    layer = build_layer() if layer is None else layer
    config = json.dumps(
        {
            "architecture": "amd64",
            "config": {
                "Cmd": ["sh"],
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            },
            "created": "2024-01-01T00:00:00Z",
            "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "busybox-static"}],
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [reference], "Layers": ["layer/layer.tar"]}]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        _add(tar, config_name, config)
        _add(tar, "layer/layer.tar", layer)
        _add(tar, "manifest.json", json.dumps(manifest).encode())
    return out.getvalue()


def _add(
    tar: tarfile.TarFile,
    name: str,
    data: bytes = b"",
    *,
    mode: int = 0o644,
    kind: bytes = tarfile.REGTYPE,
    link: str = "",
) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname, info.size, info.mtime = kind, mode, link, len(data), 1704067200
    tar.addfile(info, io.BytesIO(data))

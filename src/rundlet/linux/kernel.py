"""Every call that sets up a container, in one object that a test can replace by one that only records.

What this module will not do is add anything to the calls: see the modules they come from.
"""

from __future__ import annotations

import os
import resource
import socket

from rundlet.linux import beneath, capabilities, keyring, network, process, pty, seccomp
from rundlet.linux import mount as mounts


class Kernel:
    """The real kernel. The calls of :mod:`os` are those that Python has already."""

    open_beneath = staticmethod(beneath.open_beneath)
    crosses_magic_link = staticmethod(beneath.crosses_magic_link)
    make_directory_beneath = staticmethod(beneath.make_directory_beneath)
    make_file_beneath = staticmethod(beneath.make_file_beneath)
    make_node_at = staticmethod(beneath.make_node_at)

    clone_tree = staticmethod(mounts.clone_tree)
    attach = staticmethod(mounts.attach)
    open_filesystem = staticmethod(mounts.open_filesystem)
    configure = staticmethod(mounts.configure)
    create_filesystem = staticmethod(mounts.create_filesystem)
    set_attributes = staticmethod(mounts.set_attributes)
    mount = staticmethod(mounts.mount)
    detach = staticmethod(mounts.detach)
    pivot_root = staticmethod(mounts.pivot_root)
    filesystem_magic = staticmethod(mounts.filesystem_magic)

    setns = staticmethod(process.setns)
    unshare = staticmethod(process.unshare)
    setsid = staticmethod(os.setsid)
    join_session_keyring = staticmethod(keyring.join_session_keyring)
    set_host_name = staticmethod(socket.sethostname)
    set_domain_name = staticmethod(process.set_domain_name)
    raise_loopback = staticmethod(network.raise_loopback)

    open_peer = staticmethod(pty.open_peer)
    set_window_size = staticmethod(pty.set_window_size)
    make_controlling = staticmethod(pty.make_controlling)

    set_limit = staticmethod(resource.prlimit)
    set_no_new_privileges = staticmethod(process.set_no_new_privileges)
    set_keep_capabilities = staticmethod(process.set_keep_capabilities)
    load_filter = staticmethod(seccomp.load_filter)
    drop_bounding = staticmethod(capabilities.drop_bounding)
    set_capabilities = staticmethod(capabilities.set_capabilities)
    set_ambient = staticmethod(capabilities.set_ambient)
    setgroups = staticmethod(os.setgroups)
    setresgid = staticmethod(os.setresgid)
    setresuid = staticmethod(os.setresuid)
    close_range = staticmethod(process.close_range)
    kernel_getcwd = staticmethod(process.kernel_getcwd)

    open = staticmethod(os.open)
    read = staticmethod(os.read)
    write = staticmethod(os.write)
    dup2 = staticmethod(os.dup2)
    stat = staticmethod(os.stat)
    chown = staticmethod(os.chown)
    chmod = staticmethod(os.chmod)
    symlink = staticmethod(os.symlink)
    unlink = staticmethod(os.unlink)
    mkdir = staticmethod(os.mkdir)
    chdir = staticmethod(os.chdir)
    umask = staticmethod(os.umask)

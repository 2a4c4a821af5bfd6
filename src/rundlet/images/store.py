"""The image store: what the engine asks about images, and the only one who decides what is deleted.

    DATA/blobs  DATA/layers  DATA/empty  DATA/tmp  DATA/engine.db (images, image_tags)

An image exists when the catalog names it; that is the last thing that happens when one is made and the first
when one is removed. A blob or layer that no image names is garbage: it is collected after a removal, after a
failure, and at start-up. What is just being made is *leased*, so that no collection takes it away before the
catalog names it.

Blocking and safe to use from several threads. Nothing is pulled from or pushed to a registry here.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from rundlet.errors import CorruptArchive, ImageNotFound, InvalidArgument
from rundlet.images import host, removal, space
from rundlet.images.archives import read_archive
from rundlet.images.blobs import BlobStore
from rundlet.images.catalog import Catalog, Row, chain_ids_of
from rundlet.images.changes import apply_changes
from rundlet.images.compression import decompressed
from rundlet.images.digests import chain_ids
from rundlet.images.history import history
from rundlet.images.image import Image, encode_config, host_architecture, now, parse_config
from rundlet.images.layers import Blob, CountingReader, Layer, LayerStore
from rundlet.images.members import ArchivedImage, Member
from rundlet.images.progress import OnProgress, Progress, silent
from rundlet.images.removal import Users
from rundlet.images.tar import TarLimits
from rundlet.images.trees import Workspace
from rundlet.wire import reference
from rundlet.wire.documents import ImageDeleteItem, ImageHistoryItem
from rundlet.wire.reference import Reference

_log = logging.getLogger(__name__)

_UNPACKERS = min(4, os.cpu_count() or 1)
"""Layers that are unpacked at once: hashing and inflating run outside the interpreter's lock."""


@dataclass(frozen=True)
class Loaded:
    reference: str | None
    """Familiar; None for an image without a name."""
    image_id: str


class ImageStore:
    def __init__(self, root: Path, *, limits: TarLimits | None = None) -> None:
        """``root`` is the data root, on a filesystem that overlayfs takes as a lower one."""
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._limits = limits or TarLimits()
        self._workspace = Workspace(root / "tmp")
        self._blobs = BlobStore(root / "blobs" / "sha256", self._workspace)
        self._layers = LayerStore(root / "layers", self._workspace, self._blobs, self._limits)
        self._catalog = Catalog(root / "engine.db")
        self._empty = root / "empty"
        """The lower directory of an image without layers."""
        self._empty.mkdir(exist_ok=True)
        self._lock = threading.Lock()
        """Held while garbage is taken away; never while something is unpacked."""
        self._makers = 0
        self._due = False
        """Whether a collection waits for the last maker."""
        self._configs: dict[str, dict[str, Any]] = {}

    def close(self) -> None:
        self._catalog.close()

    # ── looking ──

    def resolve(self, name: str) -> Image:
        """The image that ``name`` means: a reference, or a full or unique short ID.

        A name wins over a short ID that looks the same, as in Docker. Raises ImageNotFound, InvalidReference,
        InvalidArgument when a short ID stands for several images.
        """
        parsed = reference.parse_any(name)
        if isinstance(parsed, str):
            row = self._catalog.get(parsed)
        else:
            row = self._catalog.by_reference(_key(parsed)) or self._by_short_id(name)
        if row is None:
            raise ImageNotFound(parsed if isinstance(parsed, str) else parsed.familiar)
        return self._image(row)

    def lower_dirs(self, image: Image) -> list[Path]:
        """What overlayfs takes as lower directories, topmost first; at least one, since overlayfs insists."""
        directories: list[Path] = []
        for chain_id in reversed(image.layers):
            directories.append(self._layers.diff(chain_id))
            if self._layers.get(chain_id).opaque:
                break
        return directories or [self._empty]

    def history(self, image: Image) -> list[ImageHistoryItem]:
        """Newest first, as ``docker history`` shows it."""
        return history(image, [self._layers.get(chain_id).size for chain_id in image.layers])

    # ── naming and removing ──

    def tag(self, name: str, new: str) -> None:
        """Call the image ``name`` also ``new``, which may have meant another image before.

        Raises ImageNotFound, InvalidReference, InvalidArgument for a reference by digest.
        """
        tag = _tag(new)
        with self._catalog.transaction():  # the image must not go between the two
            self._catalog.tag(str(tag), self.resolve(name).id)

    def remove(
        self, name: str, *, force: bool = False, users: Callable[[str], Users] = lambda _: Users()
    ) -> list[ImageDeleteItem]:
        """Untag ``name``, and delete the image with its last name: :mod:`rundlet.images.removal` has the rules.

        ``users`` tells the containers of an image ID. An image that has some loses its names when forced, but
        its layers only when they are gone: a container without its image could never start again. Raises
        ImageNotFound, ImageInUse.
        """
        image = self.resolve(name)
        with self._catalog.transaction():
            plan = removal.plan(name, image.id, self._catalog.references(image.id), users(image.id), force=force)
            for untagged in plan.untag:
                self._catalog.untag(untagged)
            if plan.delete:
                self._catalog.delete(image.id)
        deleted = [ImageDeleteItem(Untagged=reference.parse(untagged).familiar) for untagged in plan.untag]
        if plan.delete:
            self._configs.pop(image.id, None)
            deleted.append(ImageDeleteItem(Deleted=image.id))
            gone = self._collect()
            deleted += [ImageDeleteItem(Deleted=layer) for layer in reversed(image.layers) if layer in gone]
        return deleted

    def sweep(self) -> None:
        """At start-up, before anybody works: delete what a crash left and what no image names.

        An image whose content is not whole any more (a power cut, a meddler) is forgotten, so that it harms
        no other; it can be loaded again.
        """
        self._workspace.sweep()
        for row in self._catalog.all():
            if why := self._damage(row):
                _log.warning("image %s is damaged and will be forgotten: %s", row.id, why)
                with self._catalog.transaction():
                    self._catalog.delete(row.id)
        self._collect()

    def _damage(self, row: Row) -> str | None:
        """What of the image is missing or unreadable."""
        try:
            self._image(row)
            for chain_id in row.layers:
                self._layers.get(chain_id)
                self._layers.diff(chain_id).stat()
        except (CorruptArchive, OSError) as error:
            return str(error)
        return None

    # ── making ──

    def load(self, stream: BinaryIO, progress: OnProgress = silent) -> list[Loaded]:
        """Load every image of an archive (:mod:`rundlet.images.archives`), compressed or not: all, or none.

        Raises CorruptArchive, StorageFull; the store is then as it was.
        """
        full_disk = space.needed(self._workspace.path, "loading an image archive")
        with self._workspace.directory("load") as directory, self._making(), full_disk:
            archived = read_archive(stream, directory, self._limits, progress)
            rows = [self._unpack(image, progress) for image in archived]
            with self._catalog.transaction():
                for row, image in zip(rows, archived, strict=True):
                    self._catalog.add(row)
                    for name in image.references:
                        self._catalog.tag(name, row.id)
        return [
            Loaded(reference.parse(name).familiar if name else None, row.id)
            for row, image in zip(rows, archived, strict=True)
            for name in (image.references or (None,))
        ]

    def _unpack(self, image: ArchivedImage, progress: OnProgress) -> Row:
        """Store the blobs of an image and unpack its layers, several at once."""
        diff_ids = parse_config(image.config)["rootfs"]["diff_ids"]
        if len(diff_ids) != len(image.layers):
            why = f"it names {len(diff_ids)} layers, the manifest {len(image.layers)}"
            raise CorruptArchive("image configuration", why)
        chain = chain_ids(diff_ids)
        for member, chain_id in zip(image.layers, chain, strict=True):
            if chain_id not in self._layers and member.digest not in self._blobs:
                self._blobs.adopt(member.path, member.digest)
        with ThreadPoolExecutor(_UNPACKERS, thread_name_prefix="unpack") as pool:
            jobs = [
                pool.submit(self._unpack_layer, member, diff_id, parent, progress)
                for member, diff_id, parent in zip(image.layers, diff_ids, ("", *chain), strict=False)
            ]
            try:
                layers = [job.result() for job in jobs]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return Row(self._blobs.put(image.config), chain, sum(layer.size for layer in layers))

    def _unpack_layer(self, member: Member, diff_id: str, parent: str, progress: OnProgress) -> Layer:
        short = diff_id.removeprefix("sha256:")[:12]

        def on_read(size: int) -> None:
            progress(Progress("Loading layer", short, size, member.size))

        return self._layers.unpack(
            Blob(member.digest, member.size), diff_id=diff_id, parent=parent, on_read=on_read
        )

    def import_rootfs(
        self,
        stream: BinaryIO,
        *,
        reference: str | None,
        message: str = "",
        changes: Iterable[str] = (),
        architecture: str = "",
        progress: OnProgress = silent,
    ) -> Image:
        """Make an image of one layer out of a root filesystem's tar, compressed or not.

        ``changes``: Dockerfile instructions (:mod:`rundlet.images.changes`). ``reference`` None or empty leaves
        the image without a name; ``architecture`` is this machine's if empty. Raises InvalidReference,
        InvalidArgument, CorruptArchive, StorageFull.
        """
        name = _tag(reference) if reference else None
        defaults = apply_changes({}, changes)
        created = now()
        with self._making():
            content = CountingReader(stream, lambda size: progress(Progress("Importing", current=size)))
            layer = self._layers.build(decompressed(content))
            step = {"created": created, "comment": message}
            document = {"created": created, "comment": message, "config": defaults}
            if architecture:
                document["architecture"] = architecture
            return self._add_built(layer, name, document, step)

    def assemble_host(
        self,
        *,
        reference: str = host.REFERENCE,
        programs: Iterable[str] = host.PROGRAMS,
        progress: OnProgress = silent,
    ) -> Image:
        """Make the image of this machine (:mod:`rundlet.images.host`): the same one while the machine is the same.

        ``programs``: names or absolute paths of what to take beside Python and the shell. Raises PathNotFound,
        InvalidReference, StorageFull.
        """
        name = _tag(reference)
        progress(Progress("Looking for programs and libraries"))
        rootfs = host.plan(programs)
        size = rootfs.size
        with self._making():
            content = CountingReader(rootfs.tar(), lambda done: progress(Progress("Assembling", "", done, size)))
            layer = self._layers.build(content)
            created = datetime.fromtimestamp(rootfs.newest, UTC).isoformat().replace("+00:00", "Z")
            defaults = {"Env": host.environment(rootfs), "Cmd": ["python3"], "WorkingDir": "/"}
            step = {"created": created, "created_by": "rundlet image assemble"}
            return self._add_built(layer, name, {"created": created, "config": defaults}, step)

    def _add_built(
        self, layer: Layer, name: Reference | None, document: dict[str, Any], step: dict[str, Any]
    ) -> Image:
        """Put an image of one layer into the catalog; ``step`` is its history."""
        image_id, config = encode_config(
            {
                "architecture": host_architecture(),
                "os": "linux",
                **document,
                "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
                "history": [step],
            }
        )
        self._blobs.put(config)
        with self._catalog.transaction():
            self._catalog.add(Row(image_id, (layer.chain_id,), layer.size))
            if name:
                self._catalog.tag(str(name), image_id)
        return self.resolve(image_id)

    # ── what is kept ──

    @contextlib.contextmanager
    def _making(self) -> Iterator[None]:
        """What the block makes is named by no image until its end: nothing is collected before.

        A collection that somebody asks for meanwhile, or that a failure of the block makes necessary, comes
        when the last such block has ended.
        """
        with self._lock:
            self._makers += 1
        try:
            yield
        except BaseException:
            self._due = True
            raise
        finally:
            with self._lock:
                self._makers -= 1
            if self._due:
                self._collect()

    def _collect(self) -> set[str]:
        """Delete all layers and blobs that no image names. Returns the ChainIDs."""
        with self._lock:
            self._due = self._makers > 0
            if self._due:
                return set()
            rows = self._catalog.all()
            kept = chain_ids_of(rows)
            gone = {chain_id for chain_id in self._layers if chain_id not in kept}
            graves = [self._layers.bury(chain_id) for chain_id in gone]
            needed = {row.id for row in rows}
            needed.update(self._layers.get(chain_id).blob.digest for chain_id in kept)
            for digest in [digest for digest in self._blobs if digest not in needed]:
                self._blobs.discard(digest)
        for grave in graves:
            self._workspace.discard(grave)
        return gone

    def _by_short_id(self, name: str) -> Row | None:
        if (prefix := reference.hex_id_prefix(name)) is None:
            return None
        found = self._catalog.by_id_prefix(f"sha256:{prefix}")
        if len(found) > 1:
            raise InvalidArgument(f"image ID {name} is ambiguous: several images begin with it")
        return found[0] if found else None

    def _image(self, row: Row) -> Image:
        if (config := self._configs.get(row.id)) is None:
            config = self._configs[row.id] = parse_config(self._blobs.read(row.id))
        names = [reference.parse(name) for name in self._catalog.references(row.id)]
        return Image(
            id=row.id,
            references=tuple(sorted(name.familiar for name in names if not name.digest)),
            digests=tuple(sorted(name.familiar for name in names if name.digest)),
            config=config,
            layers=row.layers,
            size=row.size,
        )

    # Last: inside the class, from here on, ``list`` is this method.

    def list(self) -> list[Image]:
        """All images, in no particular order."""
        return [self._image(row) for row in self._catalog.all()]


def _tag(text: str) -> Reference:
    """A name that may be given to an image."""
    name = reference.parse(text)
    if name.digest:
        raise InvalidArgument("refusing to create a tag with a digest reference")
    return name


def _key(name: Reference) -> str:
    """The catalog's key: a reference with tag and digest is found by its digest, as in Docker."""
    return str(name.with_digest(name.digest) if name.digest else name)

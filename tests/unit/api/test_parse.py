"""Request documents are read as Go reads them, and refused with the name of the field."""

from __future__ import annotations

import dataclasses
import json
import timeit
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundlet.api.parse import encode_document, parse_document
from rundlet.errors import InvalidArgument
from rundlet.wire.documents import (
    ContainerCreateRequest,
    EndpointSettings,
    ExecCreateRequest,
    ExecStartRequest,
    HostConfig,
    Mount,
    PortBinding,
    Ulimit,
)


def create(document: Any) -> ContainerCreateRequest:
    return parse_document(json.dumps(document).encode(), ContainerCreateRequest)


class TestLeniency:
    @pytest.mark.parametrize("raw", [b"", b"  \n", b"{}", b"null", b" { } "])
    def test_nothing_is_an_empty_object(self, raw: bytes) -> None:
        assert parse_document(raw, ContainerCreateRequest) == ContainerCreateRequest()

    def test_keys_match_in_any_case(self) -> None:
        """docker-py sends ``detachKeys`` to exec create."""
        assert parse_document(b'{"detachKeys":"ctrl-x"}', ExecCreateRequest).DetachKeys == "ctrl-x"
        assert create({"IMAGE": "x", "hostconfig": {"memory": 5}}).HostConfig.Memory == 5

    def test_unknown_keys_are_ignored(self) -> None:
        assert create({"Image": "x", "Nonsense": {"a": [1]}, "HostConfig": {"KernelMemory": 3}}).Image == "x"

    def test_null_means_left_out_everywhere(self) -> None:
        names = [field.name for field in dataclasses.fields(ContainerCreateRequest)]
        assert create(dict.fromkeys(names)) == ContainerCreateRequest()
        host = dict.fromkeys(field.name for field in dataclasses.fields(HostConfig))
        assert create({"HostConfig": host}).HostConfig == HostConfig()

    def test_null_elements_are_zero_values(self) -> None:
        found = create(
            {
                "Env": ["A=1", None],
                "Labels": {"a": None},
                "HostConfig": {
                    "PortBindings": {"80/tcp": [None], "81/tcp": None},
                    "Ulimits": [None],
                },
                "NetworkingConfig": {"EndpointsConfig": {"default": None}},
            }
        )
        assert found.Env == ["A=1", ""]
        assert found.Labels == {"a": ""}
        assert found.HostConfig.PortBindings == {"80/tcp": [PortBinding()], "81/tcp": None}
        assert found.HostConfig.Ulimits == [Ulimit()]
        assert found.NetworkingConfig.EndpointsConfig == {"default": None}

    def test_a_string_is_a_command_of_one_word(self) -> None:
        found = create({"Cmd": "ls -l", "Entrypoint": "/bin/sh"})
        assert (found.Cmd, found.Entrypoint) == (["ls -l"], ["/bin/sh"])

    def test_an_empty_entrypoint_is_told_from_none(self) -> None:
        assert create({"Entrypoint": []}).Entrypoint == []
        assert create({"Entrypoint": None}).Entrypoint is None

    def test_values_of_free_maps_stay_as_they_are(self) -> None:
        assert create({"ExposedPorts": {"80/tcp": {}}, "Volumes": {"/v": None}}).Volumes == {"/v": None}

    def test_nested_objects_are_read_with_the_same_rules(self) -> None:
        mount = {"type": "volume", "TARGET": "/x", "VolumeOptions": {"driverconfig": {"Name": None}}}
        found = create({"HostConfig": {"Mounts": [mount]}}).HostConfig.Mounts
        assert found is not None
        assert (found[0].Type, found[0].Target) == ("volume", "/x")
        assert found[0].VolumeOptions is not None
        assert isinstance(found[0], Mount)

    def test_the_last_of_two_equal_keys_wins(self) -> None:
        assert parse_document(b'{"Tty":true,"tty":false}', ExecStartRequest).Tty is False


class TestRefusal:
    @pytest.mark.parametrize(
        ("document", "field"),
        [
            ({"HostConfig": {"Memory": "512m"}}, "HostConfig.Memory"),
            ({"HostConfig": {"Memory": 1.5}}, "HostConfig.Memory"),
            ({"HostConfig": {"Memory": True}}, "HostConfig.Memory"),
            ({"HostConfig": {"Memory": 2**63}}, "Memory"),
            ({"HostConfig": {"PidsLimit": -(2**64)}}, "PidsLimit"),
            ({"HostConfig": []}, "HostConfig"),
            ({"Tty": "true"}, "Tty"),
            ({"Cmd": [1]}, "Cmd"),
            ({"Cmd": {"a": 1}}, "Cmd"),
            ({"Env": "A=1"}, "Env"),
            ({"Labels": ["a"]}, "Labels"),
            ({"Labels": {"a": 1}}, "Labels"),
            ({"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": 80}]}}}, "HostPort"),
            ({"HostConfig": {"Ulimits": [{"Soft": "x"}]}}, "Soft"),
        ],
    )
    def test_wrong_types_name_their_field(self, document: Any, field: str) -> None:
        with pytest.raises(InvalidArgument, match=r"^invalid JSON: ") as caught:
            create(document)
        assert field in str(caught.value)

    @pytest.mark.parametrize(
        "raw",
        [b"{", b"{} x", b"[]", b'"x"', b"1", b"{'a':1}", b'{"Image":"\xff"}', b'{"Memory":NaN}', b"[" * 100_000],
    )
    def test_what_is_no_json_object_is_refused(self, raw: bytes) -> None:
        with pytest.raises(InvalidArgument, match=r"^invalid JSON: "):
            parse_document(raw, ContainerCreateRequest)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        [field.name for field in dataclasses.fields(ContainerCreateRequest)] + ["x", ""]
                    ),
                    inner,
                    max_size=5,
                )
            ),
            max_leaves=12,
        )
    )
    def test_any_json_is_read_or_refused(self, document: Any) -> None:
        try:
            found = create(document)
        except InvalidArgument:
            return
        assert isinstance(found, ContainerCreateRequest)
        assert isinstance(found.HostConfig, HostConfig)

    @given(st.binary(max_size=200))
    def test_any_bytes_are_read_or_refused(self, raw: bytes) -> None:
        try:
            parse_document(raw, ExecCreateRequest)
        except InvalidArgument:
            return


def test_documents_survive_a_round_trip() -> None:
    request = ContainerCreateRequest(Image="x", Cmd=["a"], HostConfig=HostConfig(Memory=1, Binds=["/a:/b"]))
    request.NetworkingConfig.EndpointsConfig = {"n": EndpointSettings(Aliases=["a"])}
    assert parse_document(encode_document(request), ContainerCreateRequest) == request


def test_the_largest_body_of_the_cli_is_read_in_well_under_a_millisecond() -> None:
    raw = encode_document(ContainerCreateRequest(Image="x", Cmd=["a"] * 5, Env=["A=b"] * 20))
    best_s = min(timeit.repeat(lambda: parse_document(raw, ContainerCreateRequest), number=50, repeat=5)) / 50
    assert best_s < 0.001

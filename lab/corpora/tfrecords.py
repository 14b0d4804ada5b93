"""TFRecord files of ``tf.train.Example``, without TensorFlow. Framing: length (uint64), masked crc32c of the length,
payload, masked crc32c of the payload, all little-endian. The message itself goes through protobuf with a descriptor
built here. Byte lists come back as they were written: the ``tfrecord`` package returns them as a numpy ``S`` array,
which drops trailing zero bytes and so cuts float16 frames short."""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import google_crc32c
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.message import DecodeError

from lib.data.rejects import BadRecord, instead

Value = Sequence[bytes] | Sequence[int] | Sequence[float]
REMEDY = "the file is damaged; copy it again from its source"


def _example_class() -> Any:
    """tf.train.Example: map<string, Feature{bytes_list=1 | float_list=2 | int64_list=3}>."""

    def message(name: str, *fields: dict, **more: Any) -> dict:
        numbered = [{"number": number, "label": "LABEL_OPTIONAL", **one} for number, one in enumerate(fields, 1)]
        return {"name": name, "field": numbered, **more}

    def part(name: str, kind: str, **more: Any) -> dict:
        return {"name": name, "type": "TYPE_MESSAGE", "typeName": f".vidlab.{kind}", **more}

    def values(kind: str) -> dict:
        return {"name": "value", "type": kind, "label": "LABEL_REPEATED"}

    lists = (("bytes_list", "BytesList"), ("float_list", "FloatList"), ("int64_list", "Int64List"))
    feature = message("Feature", *(part(*one, oneofIndex=0) for one in lists), oneofDecl=[{"name": "kind"}])
    key, value = {"name": "key", "type": "TYPE_STRING"}, part("value", "Feature")
    entry = message("FeatureEntry", key, value, options={"mapEntry": True})
    of_all = part("feature", "Features.FeatureEntry", label="LABEL_REPEATED")
    messages = [
        message("BytesList", values("TYPE_BYTES")),
        message("FloatList", values("TYPE_FLOAT")),
        message("Int64List", values("TYPE_INT64")),
        feature,
        message("Features", of_all, nestedType=[entry]),
        message("Example", part("features", "Features")),
    ]
    content = {"name": "vidlab_example.proto", "package": "vidlab", "syntax": "proto3", "messageType": messages}
    pool = descriptor_pool.DescriptorPool()
    pool.Add(json_format.ParseDict(content, descriptor_pb2.FileDescriptorProto()))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("vidlab.Example"))


Example = _example_class()


def masked_crc(data: bytes) -> int:
    """CRC-32C, rotated and shifted as TFRecord files hold it (TensorFlow, ``record_writer``)."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def encode(features: Mapping[str, Value]) -> bytes:
    """Serialise an example, keys in order, so that equal content is equal bytes."""
    example = Example()
    for name in sorted(features):
        values = list(features[name])
        feature = example.features.feature[name]
        if values and isinstance(values[0], bytes):
            feature.bytes_list.value.extend(values)
        elif values and isinstance(values[0], float):
            feature.float_list.value.extend(values)
        else:
            feature.int64_list.value.extend(int(value) for value in values)
    return example.SerializeToString(deterministic=True)


def decode(payload: bytes) -> dict[str, list]:
    """Key -> list of bytes, floats or ints. Raises google.protobuf DecodeError if the payload is not an Example."""
    example = Example.FromString(payload)
    return {
        name: list(getattr(feature, kind).value) if (kind := feature.WhichOneof("kind")) else []
        for name, feature in example.features.feature.items()
    }


def write_records(path: Path, examples: Iterable[Mapping[str, Value]]) -> int:
    """Write examples to a TFRecord file; returns how many."""
    count = 0
    with Path(path).open("wb") as file:
        for features in examples:
            payload = encode(features)
            length, crc = struct.pack("<Q", len(payload)), struct.pack("<I", masked_crc(payload))
            file.write(length + struct.pack("<I", masked_crc(length)) + payload + crc)
            count += 1
    return count


def read_records(path: Path) -> Iterator[tuple[int, dict[str, list] | BadRecord]]:
    """(number, example) of every record, numbered from 0; a record whose content is damaged comes as a BadRecord.
    Raises BadRecord: the framing itself is damaged (truncated, or the length's checksum is wrong), so that nothing
    after it can be found."""
    size = Path(path).stat().st_size
    with Path(path).open("rb") as file:
        number = 0
        while head := file.read(12):
            record = f"record {number}"
            if len(head) < 12:
                raise BadRecord(path, record, "length", f"{len(head)} of 12 bytes", f"truncated: {REMEDY}")
            length, crc = struct.unpack("<QI", head)
            if masked_crc(head[:8]) != crc:
                remedy = instead(Path(path), REMEDY) if number == 0 else REMEDY
                raise BadRecord(path, record, "checksum of the length", hex(crc), remedy)
            payload = file.read(min(length, size))
            tail = file.read(4)
            if len(payload) < length or len(tail) < 4:
                raise BadRecord(path, record, "payload", f"{len(payload)} of {length} bytes", f"truncated: {REMEDY}")
            if masked_crc(payload) != struct.unpack("<I", tail)[0]:
                yield number, BadRecord(path, record, "checksum", hex(struct.unpack("<I", tail)[0]), REMEDY)
            else:
                try:
                    yield number, decode(payload)
                except (DecodeError, ValueError) as error:
                    remedy = "not a tf.train.Example; write the file again"
                    yield number, BadRecord(path, record, "payload", str(error), remedy)
            number += 1

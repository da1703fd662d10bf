"""Release ``sky``: its schema, and its rows all over the sky."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

ROWS = 30_000


SCHEMA = """\
name: sky
"@id": "#sky"
description: Objects & their <sources>.
tables:
- name: Object
  "@id": "#Object"
  description: Objects all over the sky.
  primaryKey: "#Object.objectId"
  columns:
  - {name: objectId, "@id": "#Object.objectId", datatype: long, nullable: false,
     description: Identifier, "ivoa:ucd": meta.id;meta.main, "tap:principal": 1}
  - {name: ra, "@id": "#Object.ra", datatype: double, nullable: false, "ivoa:unit": deg,
     "ivoa:ucd": pos.eq.ra;meta.main, "tap:principal": 1, description: Right ascension (ICRS)}
  - {name: dec, "@id": "#Object.dec", datatype: double, nullable: false, "ivoa:unit": deg,
     "ivoa:ucd": pos.eq.dec;meta.main, "tap:principal": 1, description: Declination (ICRS)}
  - {name: flux, "@id": "#Object.flux", datatype: float, "ivoa:unit": nJy, "ivoa:ucd": phot.flux,
     description: "Flux < 1e5 & more"}
  - {name: n, "@id": "#Object.n", datatype: int, description: A number}
  - {name: small, "@id": "#Object.small", datatype: short, description: A small number}
  - {name: kind, "@id": "#Object.kind", datatype: unicode, length: 16, description: What it is}
  - {name: good, "@id": "#Object.good", datatype: boolean, description: Whether it is good}
  - {name: seen, "@id": "#Object.seen", datatype: timestamp, description: When it was seen}
  - {name: size, "@id": "#Object.size", datatype: double, "ivoa:unit": arcsec,
     description: Size}
- name: Source
  "@id": "#Source"
  description: Measurements of objects.
  primaryKey: "#Source.sourceId"
  columns:
  - {name: sourceId, "@id": "#Source.sourceId", datatype: long, nullable: false}
  - {name: objectId, "@id": "#Source.objectId", datatype: long, nullable: false}
  - {name: ra, "@id": "#Source.ra", datatype: double, nullable: false, "ivoa:unit": deg,
     "ivoa:ucd": pos.eq.ra;meta.main}
  - {name: dec, "@id": "#Source.dec", datatype: double, nullable: false, "ivoa:unit": deg,
     "ivoa:ucd": pos.eq.dec;meta.main}
  - {name: mjd, "@id": "#Source.mjd", datatype: double, nullable: false, "ivoa:unit": d}
  constraints:
  - {name: source_object, "@id": "#source_object", "@type": ForeignKey,
     columns: ["#Source.objectId"], referencedColumns: ["#Object.objectId"]}
- name: Visit
  "@id": "#Visit"
  description: Exposures.
  primaryKey: "#Visit.visit"
  columns:
  - {name: visit, "@id": "#Visit.visit", datatype: long, nullable: false}
  - {name: band, "@id": "#Visit.band", datatype: char, length: 1}
- name: Secret
  "@id": "#Secret"
  description: Not for everyone.
  primaryKey: "#Secret.id"
  columns:
  - {name: id, "@id": "#Secret.id", datatype: long, nullable: false}
  - {name: word, "@id": "#Secret.word", datatype: char, length: 32}
"""


SERVICES = """\
- name: cutout
  table: Object
  description: An image <around> an object.
  standardID: ivo://ivoa.net/std/SODA#sync-1.0
  accessURL: "{base}/api/cutout"
  inputs:
  - {name: ID, column: objectId}
  - {name: POS, column: ra}
  - {name: RADIUS, value: 0.01, datatype: double, unit: deg, ucd: phys.angSize, description: Half}
- name: links
  table: Object
  standardID: ivo://ivoa.net/std/DataLink#links-1.1
  contentType: application/x-votable+xml;content=datalink
  accessURL: https://archive.example/links?release=sky
  inputs:
  - {name: ID, column: kind}
"""
"""What can be done with rows of ``sky.Object``, as release.yaml has it."""


def sky() -> dict[str, pa.Table]:
    """Give the rows of release ``sky``: all over it, dense at the poles and at ra = 0."""
    random = np.random.default_rng(7)
    ra = random.uniform(0, 360, ROWS)
    dec = np.degrees(np.arcsin(random.uniform(-1, 1, ROWS)))
    third = ROWS // 3
    ra[:third] = random.normal(0, 1.5, third) % 360
    dec[:third] = random.normal(0, 1.5, third)
    dec[third : third + 4000] = 90 - np.abs(random.normal(0, 1.5, 4000))
    dec[third + 4000 : third + 8000] = np.abs(random.normal(0, 1.5, 4000)) - 90
    index = np.arange(ROWS)
    kinds = np.array(["star", "galaxy", 'a, "b" & <c>', "é日本"])
    objects = pa.table(
        {
            "objectId": index + 2**60,
            "ra": ra,
            "dec": dec,
            "flux": pa.array(random.normal(100, 100, ROWS).astype("f4"), mask=index % 7 == 0),
            "n": pa.array((index % 10).astype("i4"), mask=index % 11 == 0),
            "small": (index % 5).astype("i2"),
            "kind": pa.array(kinds[index % 4], mask=index % 13 == 0),
            "good": pa.array(index % 2 == 0, mask=index % 17 == 0),
            "seen": pa.array(index * 1_500_000 + 1_600_000_000_000_000, pa.timestamp("us")),
            "size": random.uniform(0, 5, ROWS),
        }
    )
    sources = pa.table(
        {
            "sourceId": np.arange(2000),
            "objectId": index[:2000] // 2 + 2**60,
            "ra": ra[index[:2000] // 2],
            "dec": dec[index[:2000] // 2],
            "mjd": 60000.0 + np.arange(2000),
        }
    )
    visits = pa.table({"visit": np.arange(5), "band": ["g", "r", "i", "g", "r"]})
    secrets = pa.table({"id": [1, 2], "word": ["hidden", "deep"]})
    return {"Object": objects, "Source": sources, "Visit": visits, "Secret": secrets}

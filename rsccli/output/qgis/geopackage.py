"""The style inside of a GeoPackage, in the table ``layer_styles`` that QGIS reads when it opens a layer.

The table is QGIS's own (core/providers/ogr/qgsogrprovidermetadata.cpp, ``saveStyle``); other programs ignore it.
"""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing
from pathlib import Path

from rsccli.output.qgis.look import Look
from rsccli.output.qgis.qml import look_qml

STYLES = "layer_styles"
_TABLE = f"""
create table {STYLES} (
    id integer primary key autoincrement not null,
    f_table_catalog text(256), f_table_schema text(256), f_table_name text(256), f_geometry_column text(256),
    styleName text(30), styleQML text, styleSLD text, useAsDefault boolean, description text, owner text(30),
    ui text(30), update_time datetime
)"""
_CONTENTS = "insert into gpkg_contents (table_name, data_type, identifier, last_change) values (?, 'attributes', ?, ?)"
_STYLE = f"""
insert into {STYLES} (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, styleQML, styleSLD,
    useAsDefault, description, owner, ui, update_time)
select '', '', table_name, column_name, ?, ?, '', 1, ?, '', null, ? from gpkg_geometry_columns where table_name = ?"""


def add_style(path: Path, layer: str, look: Look, date: str) -> None:
    """Put the default style of a layer into its GeoPackage.

    Args:
        layer: name of the table. date: ISO 8601 with milliseconds and Z.

    Raises:
        OSError: it cannot be written, as on a full disk.
    """
    try:
        with closing(sqlite3.connect(path)) as base, base:
            base.execute(_TABLE)
            base.execute(_CONTENTS, (STYLES, STYLES, date))
            told = "Colours, labels and map tips of rsccli"
            base.execute(_STYLE, (look.name, look_qml(look).decode(), told, date, layer))
    except sqlite3.Error as error:
        raise OSError(errno.EIO, f"the style cannot be written into the GeoPackage ({error})") from error

"""Styles for QGIS: what a layer looks like, as XML, kept inside of a GeoPackage or beside a raster."""

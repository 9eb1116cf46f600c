"""Runs under the Python that has QGIS: opens a layer as QGIS does, tells what it looks like, and draws it.

Usage: qgis_reader.py LAYER PICTURE.png
"""

import json
import os
import sys

from qgis.core import (
    QgsApplication,
    QgsExpression,
    QgsExpressionContext,
    QgsExpressionContextUtils,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor


def told(layer):
    """Renderer, legend, and the map tip of every feature."""
    if isinstance(layer, QgsRasterLayer):
        classes = layer.renderer().classes() if layer.renderer().type() == "paletted" else ()
        legend = [[each.label, each.color.alpha()] for each in classes]
        return {"renderer": layer.renderer().type(), "legend": legend}
    tips = {}
    for feature in layer.getFeatures():
        context = QgsExpressionContext(QgsExpressionContextUtils.globalProjectLayerScopes(layer))
        context.setFeature(feature)
        tips[feature["id"]] = QgsExpression.replaceExpressionText(layer.mapTipTemplate(), context)
    legend = [item.label() for item in layer.renderer().legendSymbolItems()]
    labels = layer.labeling().settings().fieldName if layer.labelsEnabled() else None
    return {"renderer": layer.renderer().type(), "legend": legend, "tips": tips, "labels": labels}


def main() -> None:
    """Print one line of JSON."""
    path, picture = sys.argv[1:]
    application = QgsApplication([], False)
    application.initQgis()
    raster = path.split("|")[0].endswith(".tif")
    layer = QgsRasterLayer(path, "layer") if raster else QgsVectorLayer(path, "layer", "ogr")
    if not layer.isValid():
        sys.exit("not valid")
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(layer.crs())
    settings.setExtent(layer.extent())
    settings.setOutputSize(QSize(200, 200))
    settings.setBackgroundColor(QColor(255, 255, 255))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(picture)
    print(json.dumps(told(layer)), flush=True)
    # QGIS itself may crash on the way out.
    os._exit(0)


main()

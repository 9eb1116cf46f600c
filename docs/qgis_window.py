"""Runs inside of QGIS (``qgis --code``): opens our files as a person does, and takes a picture of the window.

The environment tells the folder (``RSCCLI_QGIS_FOLDER``); `make_qgis_picture.py` fills it.
"""

import os
import sys
import traceback

from qgis.core import QgsLayerTreeLayer, QgsProject, QgsRasterLayer, QgsSettings, QgsVectorLayer
from qgis.PyQt.QtCore import QEvent, QPointF, QSize, Qt, QTimer
from qgis.PyQt.QtGui import QMouseEvent
from qgis.PyQt.QtWidgets import QApplication, QDockWidget, QToolBar
from qgis.utils import iface

FOLDER = os.environ["RSCCLI_QGIS_FOLDER"]
BARS = ("mMapNavToolBar", "mAttributesToolBar")
WIDTH, HEIGHT = 1280, 860
# Where the map tip is shown: share of the map's width and height, inside of a tile that changed.
TIP_AT = (0.2, 0.27)


def open_layers() -> None:
    """The picture after, the changes and the tiles, as they come from the disk."""
    # Nobody is there to answer questions.
    QgsSettings().setValue("/projections/promptWhenMultipleTransformsExist", False, QgsSettings.App)
    project, tree = QgsProject.instance(), QgsProject.instance().layerTreeRoot()
    layers = (
        QgsVectorLayer(f"{FOLDER}/changes.gpkg|layername=changes", "changes", "ogr"),
        QgsVectorLayer(f"{FOLDER}/out.gpkg|layername=tiles", "out", "ogr"),
        QgsRasterLayer(f"{FOLDER}/post.tif", "prairie_2014-07-20", "gdal"),
    )
    for layer in layers:
        if not layer.isValid():
            raise RuntimeError(f"QGIS cannot open {layer.source()}")
        project.addMapLayer(layer, False)
        tree.addChildNode(QgsLayerTreeLayer(layer))
    iface.setActiveLayer(layers[1])
    node = tree.findLayer(layers[2].id())
    node.setExpanded(False)


def arrange() -> None:
    """Only what matters stays: map, legend, the bar that moves the map."""
    window = iface.mainWindow()
    for dock in window.findChildren(QDockWidget):
        dock.setVisible(dock.objectName() == "Layers")
    for bar in window.findChildren(QToolBar):
        bar.setVisible(bar.objectName() in BARS)
    window.setWindowState(Qt.WindowNoState)
    window.move(0, 0)
    window.resize(QSize(WIDTH, HEIGHT))


def zoom() -> None:
    """All of the picture, where its metres are metres."""
    canvas = iface.mapCanvas()
    picture = QgsProject.instance().mapLayersByName("prairie_2014-07-20")[0]
    # QGIS takes the CRS of the first layer that it opens.
    QgsProject.instance().setCrs(picture.crs())
    extent = picture.extent()
    extent.scale(1.03)
    canvas.setExtent(extent)
    canvas.refresh()
    iface.actionMapTips().setChecked(True)


def point() -> None:
    """Rest the mouse on a tile, so that its map tip is shown: a server without a mouse is told of one."""
    canvas = iface.mapCanvas()
    view = canvas.viewport()
    spot = QPointF(TIP_AT[0] * view.width(), TIP_AT[1] * view.height())
    canvas.setAttribute(Qt.WA_UnderMouse, True)
    for kind in (QEvent.MouseMove, QEvent.MouseMove):
        place = QPointF(view.mapToGlobal(spot.toPoint()))
        QApplication.sendEvent(view, QMouseEvent(kind, spot, place, Qt.NoButton, Qt.NoButton, Qt.NoModifier))


def shoot() -> None:
    """Take the picture and leave; QGIS itself may crash on the way out."""
    iface.mainWindow().grab().save(f"{FOLDER}/window.png")
    os._exit(0)


# What is done, and milliseconds before it; QGIS needs its time to start, to lay out and to draw.
STEPS = ((open_layers, 1500), (arrange, 1500), (zoom, 1500), (point, 4000), (shoot, 3000))


def run(place: int) -> None:
    """Do one step and plan the next; an error ends the program."""
    try:
        STEPS[place][0]()
    except Exception:
        traceback.print_exc(file=sys.stderr)
        os._exit(1)
    plan(place + 1)


def plan(place: int) -> None:
    """Wait for a step."""
    QTimer.singleShot(STEPS[place][1], lambda: run(place))


plan(0)

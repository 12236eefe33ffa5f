"""A small stand-in for Slicer's application: enough to load the module's real .ui with real Qt and click it.

Real here: Qt (PySide6, off-screen), the .ui file, the module's own code, MRML (slicer-core), ``slicer.util`` and
``VTKObservationMixin``. Imitated: PythonQt's style over PySide (properties as attributes, ``connect("clicked()", f)``,
refused for a signal that isn't there), the few ctk and qMRML widgets of the .ui, ``ScriptedLoadableModule*``, the
scalar, enum and node subset of ``parameterNodeWrapper`` with its GUI binding and that binding's traps, ``slicer.i18n``,
and the application object.

Not covered: PythonQt's own bugs and ownership rules, Slicer's look, real ctk and qMRML widgets (sorting, filtering and
the menu of the node selector), module discovery and reload by the module manager, modal dialogs but questions (their
texts are recorded, the answers given in advance), slice and 3D views, the real Segment Editor (calls recorded), pip
and PyTorchUtils.
"""

# ruff: noqa: N802, N803, N806, N807, N815 - the names of Qt and Slicer
from __future__ import annotations

import enum
import inspect
import sys
import time
import types
import typing
import unittest
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import shiboken6
import slicer
import slicer.util
import vtk
from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

_PROPERTIES = (
    *("text", "toolTip", "enabled", "visible", "checked", "checkable", "value", "minimum", "maximum", "decimals"),
    *("singleStep", "format", "suffix", "currentIndex", "currentText", "count", "rowCount", "columnCount"),
    *("placeholderText", "objectName"),
)

_STYLED = (
    *("QTimer", "QWidget", "QLabel", "QPushButton", "QComboBox", "QCheckBox"),
    *("QShortcut", "QProgressBar", "QTableWidget", "QLineEdit", "QDoubleSpinBox"),
)


def _connect(self: Any, signal: str, slot: Callable[..., Any]) -> None:
    """PythonQt's connect: the signal by its whole signature; the slot gets as many of its arguments as it takes."""
    if self.metaObject().indexOfSignal(QtCore.QMetaObject.normalizedSignature(signal).toStdString()) < 0:
        raise LookupError(f"{type(self).__name__} has no signal {signal}")
    parameters = inspect.signature(slot).parameters.values()
    given = len([each for each in signal.split("(")[1].rstrip(")").split(",") if each])
    if not any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters):
        given = min(given, len(parameters))
    getattr(self, signal.split("(")[0]).connect(lambda *arguments: slot(*arguments[:given]))


def _style(base: type, **extra: Any) -> type:
    """A subclass of a PySide class that is used as PythonQt presents it: properties are attributes, not methods."""

    def attribute(name: str) -> property:
        return property(lambda self: self.property(name), lambda self, value: self.setProperty(name, value))

    meta = base.staticMetaObject  # type: ignore[attr-defined]
    known = {meta.property(i).name() for i in range(meta.propertyCount())}
    # A property that Python declares is an attribute already.
    known -= {name for each in base.__mro__ for name, what in vars(each).items() if isinstance(what, QtCore.Property)}
    members: dict[str, Any] = {name: attribute(name) for name in _PROPERTIES if name in known}
    members |= {"connect": _connect, "name": attribute("objectName")}
    members["className"] = lambda self: base.__name__
    return type(base.__name__, (base,), members | extra)


class _FileDialog:
    """QFileDialog's static functions, which PythonQt lets return the path alone."""

    answer = ""

    @classmethod
    def getOpenFileName(cls, *_arguments: Any) -> str:
        return cls.answer

    @classmethod
    def getExistingDirectory(cls, *_arguments: Any) -> str:
        return cls.answer


def _makeQt() -> types.ModuleType:
    qt = types.ModuleType("qt")
    for source in (QtCore, QtGui, QtWidgets):
        for name in dir(source):
            if name.startswith("Q"):
                setattr(qt, name, getattr(source, name))
    for name in _STYLED:
        setattr(qt, name, _style(getattr(qt, name)))
    qt.QFileDialog = _FileDialog
    qt.QUiLoader = _Loader
    qt.QFile = QtCore.QFile
    return qt


class _CollapsibleButton(QtWidgets.QWidget):
    """ctkCollapsibleButton: a bar with an arrow and a title, above content that it hides."""

    contentsCollapsed = QtCore.Signal(bool)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._collapsed, self._title = False, ""

    def event(self, event: Any) -> bool:
        if event.type() == QtCore.QEvent.Type.Polish:
            self._apply()
        return super().event(event)

    def paintEvent(self, _event: Any) -> None:
        painter = QtWidgets.QStylePainter(self)
        bar = QtWidgets.QStyleOptionButton()
        bar.initFrom(self)
        bar.rect.setHeight(self._barHeight())
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, bar)
        arrow = "IndicatorArrowRight" if self._collapsed else "IndicatorArrowDown"
        bar.rect = QtCore.QRect(6, (self._barHeight() - 12) // 2, 12, 12)
        painter.drawPrimitive(getattr(QtWidgets.QStyle.PrimitiveElement, f"PE_{arrow}"), bar)
        painter.drawText(24, (self._barHeight() + self.fontMetrics().capHeight()) // 2, self._title)

    def _barHeight(self) -> int:
        return self.fontMetrics().height() + 8

    def _apply(self) -> None:
        for child in self.findChildren(QtWidgets.QWidget, options=QtCore.Qt.FindChildOption.FindDirectChildrenOnly):
            child.setVisible(not self._collapsed and not child.property("hiddenByDesign"))
        if self.layout() is not None:
            margin = 0 if self._collapsed else 9
            self.layout().setContentsMargins(margin, self._barHeight() + margin // 2, margin, margin)

    def _getCollapsed(self) -> bool:
        return self._collapsed

    def _setCollapsed(self, collapsed: bool) -> None:
        self._collapsed = collapsed
        self._apply()
        self.contentsCollapsed.emit(collapsed)

    def _setTitle(self, title: str) -> None:
        self._title = title

    collapsed = QtCore.Property(bool, _getCollapsed, _setCollapsed)
    text = QtCore.Property(str, lambda self: self._title, _setTitle)


class _SliderWidget(QtWidgets.QWidget):
    """ctkSliderWidget: a slider and a spin box with one floating-point value."""

    valueChanged = QtCore.Signal(float)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._slider, self._box = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal), QtWidgets.QDoubleSpinBox()
        self._slider.setRange(0, 1000)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        layout.addWidget(self._box)
        self._box.valueChanged.connect(self._onBox)
        self._slider.sliderMoved.connect(lambda position: self._box.setValue(self._fromSlider(position)))

    def _fromSlider(self, position: int) -> float:
        return self._box.minimum() + (self._box.maximum() - self._box.minimum()) * position / 1000

    def _onBox(self, value: float) -> None:
        width = self._box.maximum() - self._box.minimum()
        self._slider.setValue(round(1000 * (value - self._box.minimum()) / width) if width else 0)
        self.valueChanged.emit(value)

    value = QtCore.Property(float, lambda self: self._box.value(), lambda self, v: self._box.setValue(v))
    minimum = QtCore.Property(float, lambda self: self._box.minimum(), lambda self, v: self._box.setMinimum(v))
    maximum = QtCore.Property(float, lambda self: self._box.maximum(), lambda self, v: self._box.setMaximum(v))
    decimals = QtCore.Property(int, lambda self: self._box.decimals(), lambda self, v: self._box.setDecimals(v))
    singleStep = QtCore.Property(float, lambda self: self._box.singleStep(), lambda self, v: self._box.setSingleStep(v))


class _NodeComboBox(QtWidgets.QComboBox):
    """qMRMLNodeComboBox: a selector over the real nodes of a real scene."""

    currentNodeChanged = QtCore.Signal(object)
    currentNodeIDChanged = QtCore.Signal(str)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._shownId: str | None = None
        self.currentIndexChanged.connect(lambda _index: self._announce())

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent, scene.EndImportEvent):
            scene.AddObserver(event, lambda *_: self._refresh())
        self._refresh()

    def _refresh(self) -> None:
        if not shiboken6.isValid(self):
            return  # the panel is closed; its scene still has a test's end before it
        selected = self._shownId
        self.blockSignals(True)
        self.clear()
        self.addItem(self.property("noneDisplay") or "None", "")
        for className in self.property("nodeTypes"):
            for node in slicer.util.getNodesByClass(className, self._scene):
                self.addItem(node.GetName(), node.GetID())
        self.setCurrentIndex(max(0, self.findData(selected or "")))
        self.blockSignals(False)
        self._announce()

    def _announce(self) -> None:
        if (self.currentData() or None) != self._shownId:
            self._shownId = self.currentData() or None
            self.currentNodeChanged.emit(self.currentNode())
            self.currentNodeIDChanged.emit(self._shownId or "")

    def currentNode(self) -> Any:
        return self._scene.GetNodeByID(self.currentData()) if self._scene and self.currentData() else None

    def setCurrentNode(self, node: Any) -> None:
        self.setCurrentIndex(max(0, self.findData(node.GetID() if node else "")))


class _MRMLWidget(QtWidgets.QWidget):
    """qMRMLWidget: hands the scene to the widgets that its .ui connects to it."""

    def setMRMLScene(self, scene: Any) -> None:
        for child in self.findChildren(QtWidgets.QComboBox):
            if hasattr(child, "setMRMLScene"):
                child.setMRMLScene(scene)


class _Loader(QtUiTools.QUiLoader):
    """Makes every widget of the .ui in PythonQt style, and ctk's and Slicer's own classes."""

    def createWidget(self, className: str, parent: Any = None, name: str = "") -> Any:
        qt, ctk = sys.modules["qt"], sys.modules["ctk"]
        for source in (qt, ctk, slicer):
            if hasattr(source, className):
                widget = getattr(source, className)(parent)
                widget.setObjectName(name)
                return widget
        raise LookupError(f"The .ui uses {className}, which this shell doesn't know.")


class _Application(QtCore.QObject):
    """slicer.app: what the module asks of it."""

    aboutToQuit = QtCore.Signal()
    startupCompleted = QtCore.Signal()
    applicationName = "Slicer"
    applicationVersion = "5.12.0-shell"
    os = "linux"
    arch = "amd64"

    def __init__(self, temporaryPath: str) -> None:
        super().__init__()
        self.temporaryPath = temporaryPath
        self.qt = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
        self.qt.setOrganizationName("BrainTumorSegTests")
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.Format.IniFormat)
        QtCore.QSettings.setPath(QtCore.QSettings.Format.IniFormat, QtCore.QSettings.Scope.UserScope, temporaryPath)

    def connect(self, signal: str, slot: Callable[..., Any]) -> None:  # type: ignore[override]
        _connect(self, signal, slot)

    def setOverrideCursor(self, shape: Any) -> None:
        self.qt.setOverrideCursor(shape)

    def restoreOverrideCursor(self) -> None:
        self.qt.restoreOverrideCursor()

    def applicationLogic(self) -> Any:
        return slicer.applicationLogic

    def layoutManager(self) -> Any:
        return None  # as without a main window

    def testingEnabled(self) -> bool:
        return False

    def processEvents(self) -> None:
        self.qt.processEvents()

    def clipboard(self) -> Any:
        return self.qt.clipboard()

    def startupEnvironment(self) -> Any:
        return QtCore.QProcessEnvironment.systemEnvironment()


class _Dialogs:
    """What was shown to the user, and what the user answers to the next questions.

    answer: True and False click Yes and No, a key is pressed, None closes the question by its cross.
    """

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.answer: bool | QtCore.Qt.Key | None = True

    def show(self, text: str, *_arguments: Any, **_options: Any) -> None:
        self.shown.append(text)

    def question(self, _parent: Any, title: str, text: str, buttons: Any, default: Any) -> Any:
        """QMessageBox.question, answered in a real box as soon as it is there."""
        self.shown.append(text)
        box = QtWidgets.QMessageBox(QtWidgets.QMessageBox.Icon.Question, title, text, buttons)
        box.setDefaultButton(default)
        QtCore.QTimer.singleShot(0, lambda: self._answer(box))
        return QtWidgets.QMessageBox.StandardButton(box.exec())

    def _answer(self, box: QtWidgets.QMessageBox) -> None:
        kinds = QtWidgets.QMessageBox.StandardButton
        if isinstance(self.answer, bool):
            box.button(kinds.Yes if self.answer else kinds.No).click()
        elif self.answer is None:
            box.close()
        else:
            none = QtCore.Qt.KeyboardModifier.NoModifier
            press = QtGui.QKeyEvent(QtCore.QEvent.Type.KeyPress, self.answer, none)
            QtCore.QCoreApplication.sendEvent(box, press)


class _Module:
    """The base classes of slicer.ScriptedLoadableModule, without the developer's section."""

    class ScriptedLoadableModule:
        def __init__(self, parent: Any) -> None:
            self.parent = parent
            self.moduleName = type(self).__name__

        def resourcePath(self, filename: str) -> str:
            return str(Path(self.parent.path).parent / "Resources" / filename)

    class ScriptedLoadableModuleWidget:
        def __init__(self, parent: Any = None) -> None:
            self.parent = parent
            self.layout = parent.layout()
            self.moduleName = type(self).__name__.removesuffix("Widget")

        def resourcePath(self, filename: str) -> str:
            return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / filename)

        def setup(self) -> None:
            """Nothing: the developer's section is Slicer's own."""

        def onReload(self) -> None:
            """Nothing: the module manager is not here."""

    class ScriptedLoadableModuleLogic:
        def __init__(self, parent: Any = None) -> None:
            self.moduleName = type(self).__name__.removesuffix("Logic")

        def getParameterNode(self) -> Any:
            node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
            if not node:
                node = slicer.vtkMRMLScriptedModuleNode()
                node.SetSingletonTag(self.moduleName)
                node = slicer.mrmlScene.AddNode(node)
            node.SetAttribute("ModuleName", self.moduleName)
            return node

    class ScriptedLoadableModuleTest(unittest.TestCase):
        pass


class WithinRange:
    """Annotation: a number between two bounds."""

    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value: float) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within [{self.minimum}, {self.maximum}], was {value}")


def _serialise(value: Any) -> str:
    return value.name if isinstance(value, enum.Enum) else str(value)


def _parse(kind: type, text: str) -> Any:
    if issubclass(kind, enum.Enum):
        return kind[text]
    return text == "True" if kind is bool else kind(text)


def _makeParameter(name: str, kind: Any, validators: tuple[Any, ...]) -> property:
    """A parameter as Slicer keeps it: read once, also a node, and again whenever the parameter node is modified."""
    isNode = _isNodeClass(kind)

    def write(self: Any, value: Any) -> None:
        if not (isNode and value is None) and not isinstance(value, (float, int) if kind is float else kind):
            raise TypeError(f"{name} must be a {kind.__name__}, was {value!r}")
        for validator in validators:
            validator.validate(value)
        with slicer.util.NodeModify(self.parameterNode):
            self.parameterNode.SetParameter(name, "" if isNode else _serialise(value))
            if isNode:
                self.parameterNode.SetNodeReferenceID(name, value.GetID() if value is not None else None)
            self._values[name] = value

    return property(lambda self: self._values[name], write)


def _isNodeClass(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode)


def _access(widget: Any, kind: Any) -> tuple[Callable[[], Any], Callable[[Any], None], Any]:
    """How to read and write a widget for a type, and its signal; the pairs that Slicer's connectors know."""
    qt, ctk = sys.modules["qt"], sys.modules["ctk"]
    if kind is bool and type(widget) is qt.QCheckBox:
        return lambda: widget.checked, lambda value: setattr(widget, "checked", value), widget.toggled
    if kind is float and type(widget) in (qt.QDoubleSpinBox, ctk.ctkSliderWidget):
        return lambda: widget.value, lambda value: setattr(widget, "value", value), widget.valueChanged
    if type(widget) is slicer.qMRMLNodeComboBox and _isNodeClass(kind):
        return widget.currentNode, widget.setCurrentNode, widget.currentNodeChanged
    if type(widget) is qt.QComboBox and issubclass(kind, enum.Enum):
        members = list(kind)
        widget.clear()
        for member in members:
            widget.addItem(kind.label(member))
        return (
            lambda: members[widget.currentIndex],
            lambda value: setattr(widget, "currentIndex", members.index(value)),
            widget.currentIndexChanged,
        )
    raise RuntimeError(f"Unable to create GUI connector from datatype '{kind}' to widget type '{type(widget)}'")


def parameterNodeWrapper(description: type) -> type:
    """The part of Slicer's decorator that this module uses: typed attributes in the node, bound to widgets.

    Its traps are imitated too: ``connectGui`` returns no tag, and what watches the parameter node for the widgets goes
    on watching after ``disconnectGui``.
    """
    hints = typing.get_type_hints(description, include_extras=True)
    kinds: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    members: dict[str, Any] = {}
    for name, hint in hints.items():
        kind, *annotations = typing.get_args(hint) if typing.get_origin(hint) is typing.Annotated else (hint,)
        kinds[name], members[name] = kind, _makeParameter(name, kind, tuple(annotations))
        defaults[name] = None if _isNodeClass(kind) else getattr(description, name)

    def __init__(self: Any, node: Any) -> None:
        self.parameterNode, self._bindings, self._isUpdating, self._values = node, {}, False, {}
        weak = weakref.ref(self)
        for name in kinds:
            readAgain(self, name)
            # One a parameter, as in Slicer: VTK calls the node's very first observer after all others.
            node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_, n=name: weak() and readAgain(weak(), n))

    def readAgain(self: Any, name: str) -> None:
        node, kind = self.parameterNode, kinds[name]
        if not node.HasParameter(name):
            setattr(self, name, defaults[name])
        isNode = _isNodeClass(kind)
        self._values[name] = node.GetNodeReference(name) if isNode else _parse(kind, node.GetParameter(name))

    def connectParametersToGui(self: Any, widgets: dict[str, Any]) -> int:
        tag = len(self._bindings)
        self._bindings[tag] = binding = {name: _access(widget, kinds[name]) for name, widget in widgets.items()}
        for name, (get, put, signal) in binding.items():
            put(getattr(self, name))
            signal.connect(lambda *_, n=name, g=get: fromGui(self, tag, n, g))
        self.parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: refresh(self))
        return tag

    def connectGui(self: Any, ui: Any) -> None:
        named = {w.property("SlicerParameterName"): w for w in vars(ui).values()}
        connectParametersToGui(self, {name: widget for name, widget in named.items() if name})

    def fromGui(self: Any, tag: int, name: str, get: Callable[[], Any]) -> None:
        if self._bindings[tag] and not self._isUpdating:
            setattr(self, name, get())

    def refresh(self: Any) -> None:
        if self._isUpdating:
            return
        self._isUpdating = True
        for binding in self._bindings.values():
            for name, (_get, put, _signal) in binding.items():
                put(getattr(self, name))
        self._isUpdating = False

    def disconnectGui(self: Any, tag: int | None) -> None:
        if tag in self._bindings:
            self._bindings[tag] = {}

    members |= {"__init__": __init__, "connectGui": connectGui, "disconnectGui": disconnectGui}
    members["connectParametersToGui"] = connectParametersToGui
    for name in ("AddObserver", "RemoveObserver", "StartModify", "EndModify", "Modified"):
        members[name] = lambda self, *arguments, _name=name: getattr(self.parameterNode, _name)(*arguments)
    return type(description.__name__, (), members)


def _onQtMessage(_kind: Any, _context: Any, text: str) -> None:
    isExpected = "mrmlSceneChanged" in text or "QObject::connect:  (" in text or "propagateSizeHints" in text
    if not isExpected:
        sys.stderr.write(f"{text}\n")


class _SegmentEditor:
    """Records what the module asks of the real Segment Editor."""

    def __init__(self) -> None:
        self.editor = self
        self.segmentationNode: Any = None
        self.sourceVolumeNode: Any = None

    def setSegmentationNode(self, node: Any) -> None:
        self.segmentationNode = node

    def setSourceVolumeNode(self, node: Any) -> None:
        self.sourceVolumeNode = node


def _module(name: str, **content: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(content)
    sys.modules[name] = module
    return module


class Shell:
    """The application, once for all tests: modules keep what they imported from it."""

    def __init__(self, modulePath: Path, temporaryPath: str) -> None:
        self.dialogs, self.segmentEditor, self.selectedModules = _Dialogs(), _SegmentEditor(), list[str]()
        self._modulePath = modulePath
        # Widgets that Python's garbage collector takes apart, in its own order, end the process. So none is given up.
        self._opened: list[Any] = []
        sys.modules["qt"] = _makeQt()
        _module("ctk", ctkCollapsibleButton=_style(_CollapsibleButton), ctkSliderWidget=_style(_SliderWidget))
        slicer.qMRMLNodeComboBox, slicer.qMRMLWidget = _style(_NodeComboBox), _style(_MRMLWidget)
        slicer.app = self.app = _Application(temporaryPath)
        names = {name: value for name, value in vars(_Module).items() if name.startswith("Scripted")}
        slicer.ScriptedLoadableModule = _module("slicer.ScriptedLoadableModule", __all__=list(names), **names)
        slicer.parameterNodeWrapper = _module(
            "slicer.parameterNodeWrapper", parameterNodeWrapper=parameterNodeWrapper, WithinRange=WithinRange
        )
        slicer.i18n = _module("slicer.i18n", tr=lambda text: text, translate=lambda _context, text: text)
        # The .ui's connections to mrmlSceneChanged are made by _MRMLWidget; a test of the .ui itself checks them.
        QtCore.qInstallMessageHandler(_onQtMessage)

    def begin(self) -> None:
        """Forget the test before; ``slicer.mrmlScene`` and ``slicer.modules`` are new."""
        vars(slicer.modules)["braintumorseg"] = types.SimpleNamespace(path=str(self._modulePath))
        self.dialogs.__init__()  # type: ignore[misc]
        self.segmentEditor.__init__()  # type: ignore[misc]
        self.selectedModules.clear()
        _FileDialog.answer = ""
        QtCore.QSettings().clear()
        for name in ("errorDisplay", "warningDisplay", "infoDisplay"):
            setattr(slicer.util, name, self.dialogs.show)
        sys.modules["qt"].QMessageBox.question = self.dialogs.question
        slicer.util.mainWindow = lambda: getattr(self, "parent", None)
        slicer.util.selectModule = self.selectedModules.append
        slicer.util.getModuleWidget = lambda _name: self.segmentEditor

    def choosePath(self, path: Path) -> None:
        """What the user picks in the next file dialogs."""
        _FileDialog.answer = str(path)

    def processEventsUntil(self, condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Run the event loop as the application does. Raises TimeoutError."""
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"Not within {timeout_s} s")
            self.app.processEvents()
            time.sleep(0.002)

    def enter(self, widget: Any) -> None:
        """The user opens the module."""
        self.parent.isEntered = True
        widget.enter()
        self.app.processEvents()

    def leave(self, widget: Any) -> None:
        """The user opens another module; Slicer calls exit where a widget has it."""
        if hasattr(widget, "exit"):
            widget.exit()
        self.parent.isEntered = False

    def open(self, widgetClass: Any) -> Any:
        """Make the module's widget as the application does when the user first opens the module."""
        qt = sys.modules["qt"]
        self.parent = qt.QWidget()
        self.parent.setLayout(QtWidgets.QVBoxLayout())
        self.parent.isEntered = False
        widget = widgetClass(self.parent)
        widget.setup()
        self._opened.append((self.parent, widget, widget.ui))
        self.parent.resize(460, 1100)
        self.parent.show()
        self.enter(widget)
        return widget

"""The subject hierarchy: which study a volume belongs to, and putting results beside it."""

from __future__ import annotations

import slicer

_DICOM_UID = "DICOM"
_INSTANCE_UIDS = "DICOM.instanceUIDs"


def itemOf(node: slicer.vtkMRMLNode) -> int:
    """The node's item; created under the scene where the node has none yet."""
    hierarchy = node.GetScene().GetSubjectHierarchyNode()
    item = hierarchy.GetItemByDataNode(node)
    if item == hierarchy.GetInvalidItemID():
        item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
    return int(item)


def placeBeside(node: slicer.vtkMRMLNode, neighbour: slicer.vtkMRMLNode) -> None:
    """Put ``node`` into the folder or study in which ``neighbour`` lies."""
    hierarchy = node.GetScene().GetSubjectHierarchyNode()
    hierarchy.SetItemParent(itemOf(node), hierarchy.GetItemParent(itemOf(neighbour)))


def placeBelow(node: slicer.vtkMRMLNode, owner: slicer.vtkMRMLNode) -> None:
    """Put ``node`` below the item of ``owner``, to which it belongs, so that it does not lie loose in the tree."""
    hierarchy = node.GetScene().GetSubjectHierarchyNode()
    hierarchy.SetItemParent(itemOf(node), itemOf(owner))


def parentItem(node: slicer.vtkMRMLNode) -> int:
    """The item of the folder, study or scene in which a node lies."""
    hierarchy = node.GetScene().GetSubjectHierarchyNode()
    return int(hierarchy.GetItemParent(itemOf(node)))


def seriesUid(node: slicer.vtkMRMLNode) -> str:
    """The DICOM series instance UID with which a node was loaded; "" where it did not come from DICOM."""
    hierarchy = node.GetScene().GetSubjectHierarchyNode()
    return str(hierarchy.GetItemUID(itemOf(node), _DICOM_UID) or "")


def instanceUids(node: slicer.vtkMRMLNode) -> list[str]:
    """The DICOM instance UIDs of a volume's files; [] where it did not come from DICOM."""
    return (node.GetAttribute(_INSTANCE_UIDS) or "").split()


def firstInstanceUid(node: slicer.vtkMRMLNode) -> str:
    """That of the first file; "" where there is none."""
    return next(iter(instanceUids(node)), "")

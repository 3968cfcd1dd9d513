"""The keys of the models of non-patient objects, as the tables of their annexes have them.

A row is: matching key type, return key type, attribute. R is required, O optional and U unique; "-"
is for return only. An attribute of an item has as many ">" before it as it is deep. "code" stands
for Table 8-1a, "reference" for the SOP Class and Instance UID of an item, which Tables BB.6-1 to
BB.6-3, HH.6-1 and II.6-1 spell out each time.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

from agent.archive.information_model import InformationModel
from agent.archive.object_models import (
    COLOR_PALETTE,
    DEFINED_PROCEDURE_PROTOCOL,
    GENERIC_IMPLANT_TEMPLATE,
    HANGING_PROTOCOL,
    IMPLANT_ASSEMBLY_TEMPLATE,
    IMPLANT_TEMPLATE_GROUP,
    INVENTORY,
    OBJECT_MODELS,
    PROTOCOL_APPROVAL,
)
from agent.dataset import tags

_IDENTITY = """
R 1 SOPClassUID
U 1 SOPInstanceUID
"""

_BASIC_CODE = """
R 1C CodeValue
R 1C CodingSchemeDesignator
R 1C CodingSchemeVersion
- 1 CodeMeaning
R 1C LongCodeValue
R 1C URNCodeValue
- 3 MappingResource
- 3 MappingResourceUID
- 3 ContextGroupVersion
- 3 ContextGroupExtensionFlag
- 3 ContextGroupLocalVersion
- 3 ContextGroupExtensionCreatorUID
"""
_INSERTED: Mapping[str, str] = {
    "code": _BASIC_CODE
    + "O 3 EquivalentCodeSequence\n"
    + "".join(f">{line}\n" for line in _BASIC_CODE.split("\n") if line),
    "reference": "R 1 ReferencedSOPClassUID\nR 1 ReferencedSOPInstanceUID\n",
}
"""Tables 8-1a and 8-1b, and the two attributes of a reference."""

_TABLES: Mapping[str, str] = {
    # Table U.6-1
    HANGING_PROTOCOL.find: """
R 1 HangingProtocolName
- 1 HangingProtocolDescription
R 1 HangingProtocolLevel
- 1 HangingProtocolCreator
- 1 HangingProtocolCreationDateTime
R 1 HangingProtocolDefinitionSequence
>R 2 Modality
>R 2 AnatomicRegionSequence code
>R 2 Laterality
>R 2 ProcedureCodeSequence code
>R 2 ReasonForRequestedProcedureCodeSequence code
R 1 NumberOfPriorsReferenced
R 2 HangingProtocolUserIdentificationCodeSequence code
R 3 HangingProtocolUserGroupName
R 2 NumberOfScreens
- 2 NominalScreenDefinitionSequence
>- 1 NumberOfVerticalPixels
>- 1 NumberOfHorizontalPixels
>- 1 DisplayEnvironmentSpatialPosition
>- 1C ScreenMinimumGrayscaleBitDepth
>- 1C ScreenMinimumColorBitDepth
>- 3 ApplicationMaximumRepaintTime
""",
    # Table X.6-1
    COLOR_PALETTE.find: """
R 1 ContentLabel
- 2 ContentDescription
- 2 ContentCreatorName
- 3 AlternateContentDescriptionSequence
>- 1 ContentDescription
>- 1 LanguageCodeSequence code
""",
    # Table BB.6-1
    GENERIC_IMPLANT_TEMPLATE.find: """
R 1 Manufacturer
R 1 ImplantName
R 2 ImplantSize
R 1 ImplantPartNumber
R 2 ReplacedImplantTemplateSequence reference
R 2 DerivationImplantTemplateSequence reference
R 1 EffectiveDateTime
R 2 OriginalImplantTemplateSequence reference
R 2 ImplantTargetAnatomySequence
>R 1 AnatomicRegionSequence code
R 2 ImplantRegulatoryDisapprovalCodeSequence code
R 1 MaterialsCodeSequence code
R 1 CoatingMaterialsCodeSequence code
""",
    # Table BB.6-2
    IMPLANT_ASSEMBLY_TEMPLATE.find: """
R 1 ImplantAssemblyTemplateName
R 1 Manufacturer
R 1 ProcedureTypeCodeSequence code
R 1 ReplacedImplantAssemblyTemplateSequence reference
R 1 OriginalImplantAssemblyTemplateSequence reference
R 1 DerivationImplantAssemblyTemplateSequence reference
R 2 SurgicalTechnique
""",
    # Table BB.6-3
    IMPLANT_TEMPLATE_GROUP.find: """
R 1 ImplantTemplateGroupName
- 2 ImplantTemplateGroupDescription
R 1 ImplantTemplateGroupIssuer
R 1 EffectiveDateTime
R 2 ReplacedImplantTemplateGroupSequence reference
""",
    # Table HH.6-1
    DEFINED_PROCEDURE_PROTOCOL.find: """
R 2 CustodialOrganizationSequence
>R 2 InstitutionName
>R 2 InstitutionCodeSequence code
R 2 ResponsibleGroupCodeSequence code
R 1 ProtocolName
R 1 PotentialScheduledProtocolCodeSequence code
R 1 PotentialRequestedProcedureCodeSequence code
- 2 PotentialReasonsForProcedure
R 2 PotentialReasonsForProcedureCodeSequence code
- 2 PotentialDiagnosticTasks
R 2 PredecessorProtocolSequence reference
R 1 ContentCreatorName
R 1 InstanceCreationDate
R 1 InstanceCreationTime
R 1 ClinicalTrialSponsorName
R 1 ClinicalTrialProtocolID
R 1 EquipmentModality
R 2 ModelSpecificationSequence
>R 1 Manufacturer
>R 2 ManufacturerRelatedModelGroup
>R 2 ManufacturerModelName
>R 2 SoftwareVersions
>- 2 DeviceSerialNumber
R 2 AnatomicRegionSequence code
R 2 PrimaryAnatomicStructureSequence code
""",
    # Table II.6-1, which says U of three attributes that are no unique keys: they are optional.
    PROTOCOL_APPROVAL.find: """
R 1 InstanceCreationDate
R 1 InstanceCreationTime
R 1 ApprovalSubjectSequence reference
R 1 ApprovalSequence
>R 1 AssertionCodeSequence code
>- 1 AssertionUID
>R 1 AsserterIdentificationSequence
>>- 1 ObserverType
>>R 1 PersonName
>>R 1 PersonIdentificationCodeSequence code
>>R 2 OrganizationalRoleCodeSequence code
>>- 3 StationName
>>- 3 DeviceUID
>>- 3 Manufacturer
>>- 3 ManufacturerModelName
>>- 3 StationAETitle
>>R 1 InstitutionName
>>R 1 InstitutionCodeSequence code
>>O 2 InstitutionalDepartmentName
>>O 3 InstitutionalDepartmentTypeCodeSequence code
>R 1 AssertionDateTime
>R 2 AssertionExpirationDateTime
>- 2 AssertionComments
>O 1 RelatedAssertionSequence
>>O 1 ReferencedAssertionUID
- 1 Manufacturer
- 2 ManufacturerModelName
- 2 SoftwareVersions
""",
    # Table JJ.2-1
    INVENTORY.find: """
R 1C TransactionUID
R 1 ContentDate
O 1 ContentTime
- 2 ScopeOfInventorySequence
O 1 InventoryPurpose
O 2 InventoryInstanceDescription
O 1 InventoryLevel
O 1 InventoryCompletionStatus
O 1 TotalNumberOfStudyRecords
""",
}

COMBINED: Mapping[str, tuple[tuple[str, str], ...]] = {
    DEFINED_PROCEDURE_PROTOCOL.find: (("InstanceCreationDate", "InstanceCreationTime"),),
    PROTOCOL_APPROVAL.find: (("InstanceCreationDate", "InstanceCreationTime"),),
}
"""Dates and times whose ranges are always one range (HH.6.1.2, II.6.1.2)."""


class ObjectKey(NamedTuple):
    """A row of a table, with those below it by tag; `items` of a sequence that has none say that
    any may be asked for."""

    keyword: str
    matching: str
    returned: str
    items: Mapping[int, ObjectKey]

    @property
    def matches(self) -> bool:
        """Whether it is more than a return key."""
        return self.matching != "-"


@functools.cache
def object_keys(model: InformationModel) -> Mapping[int, ObjectKey]:
    """The keys of a model, by tag."""
    return _keys(_lines(_IDENTITY + _TABLES[model.find]))


def combined(model: InformationModel) -> tuple[tuple[int, int], ...]:
    """Tags of the dates and times that are always matched together."""
    return tuple(
        (tags.from_text(date), tags.from_text(time)) for date, time in COMBINED.get(model.find, ())
    )


def _lines(text: str) -> list[tuple[int, str, str, str]]:
    """Depth, matching type, return type and keyword, what is included written out."""
    found = []
    for line in text.split("\n"):
        if not line:
            continue
        bare = line.lstrip(">")
        depth = len(line) - len(bare)
        matching, returned, keyword, *included = bare.split(" ")
        found.append((depth, matching, returned, keyword))
        for each in included:
            found += [(depth + 1 + row[0], *row[1:]) for row in _lines(_INSERTED[each])]
    return found


def _keys(lines: list[tuple[int, str, str, str]]) -> dict[int, ObjectKey]:
    found = {}
    for number, (depth, matching, returned, keyword) in enumerate(lines):
        if depth:
            continue
        end = number + 1
        while end < len(lines) and lines[end][0]:
            end += 1
        below = [(row[0] - 1, *row[1:]) for row in lines[number + 1 : end]]
        found[tags.from_text(keyword)] = ObjectKey(keyword, matching, returned, _keys(below))
    return found


assert set(_TABLES) == {each.find for each in OBJECT_MODELS.values()}

"""Body parts and their codes (PS3.16 annex L): what Body Part Examined says, as a coded region.

A table of what a capture station is likely to see; a body part that is not here has no code unless
a device template gives one.
"""

from __future__ import annotations

from agent.objects.references import Code

# Body Part Examined, SNOMED CT, meaning.
_ROWS = """
ABDOMEN 818981001 Abdomen
ANKLE 70258002 Ankle joint
BLADDER 89837001 Bladder
BRAIN 12738006 Brain
BREAST 76752008 Breast
BRONCHUS 955009 Bronchus
CHEST 816094009 Chest
COLON 71854001 Colon
CSPINE 122494005 Cervical spine
DUODENUM 38848004 Duodenum
EAR 117590005 Ear
ELBOW 16953009 Elbow joint
ESOPHAGUS 32849002 Esophagus
EYE 81745001 Eye
FINGER 7569003 Finger
FOOT 56459004 Foot
FOREARM 14975008 Forearm
GALLBLADDER 28231008 Gallbladder
HAND 85562004 Hand
HEAD 69536005 Head
HEART 80891009 Heart
HIP 29836001 Hip
KIDNEY 64033007 Kidney
KNEE 72696002 Knee
LARYNX 4596009 Larynx
LEG 30021000 Lower leg
LIVER 10200004 Liver
LSPINE 122496007 Lumbar spine
LUNG 39607008 Lung
NECK 45048000 Neck
NOSE 45206002 Nose
PANCREAS 15776009 Pancreas
PELVIS 816092008 Pelvis
PROSTATE 41216001 Prostate
RECTUM 34402009 Rectum
RIB 113197003 Rib
SHOULDER 16982005 Shoulder
SKIN 39937001 Skin
SKULL 89546000 Skull
SPINE 421060004 Spine
STOMACH 69695003 Stomach
THIGH 68367000 Thigh
THYROID 69748006 Thyroid
TOE 29707007 Toe
TRACHEA 44567001 Trachea
TSPINE 122495006 Thoracic spine
UTERUS 35039007 Uterus
WHOLEBODY 38266002 Entire body
WRIST 74670003 Wrist joint
"""

REGIONS = {
    body_part: Code(code, "SCT", meaning)
    for body_part, code, meaning in (line.split(" ", 2) for line in _ROWS.strip().splitlines())
}


def region_of(body_part_examined: str | None) -> Code | None:
    """The coded region of a body part, or None where it is not known."""
    return REGIONS.get(body_part_examined or "")

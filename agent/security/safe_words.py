"""Words that describe images and never a person: what stays of descriptions that are cleaned
(PS3.15 E.3.5).

Without words that are names or titles more often than anything else; some body parts are names too
("Dr. Hand"), which nothing tells apart here: what is known of the patient is looked for besides.
"""

from __future__ import annotations

_UNITS = """
mm cm m ml l mg g kg mgy gy kv kvp ma mas mhz hz khz s sec min ms deg msv t tesla fps hu
"""

UNITS = frozenset(_UNITS.split())
"""After a number."""

# Modalities and what is done with them
_PROCEDURES = """
acquisition angio angiogram angiography arthrography baseline biopsy bronchography calibration
catheter cholangiography colonography control cr ct cystography densitometry dexa doppler dose
drainage dx ecg echo eeg elastography emergency endoscopy es evidence exam examination fluoroscopy
follow followup high hysterosalpingography image images injection io ivus key localiser localizer
low mammogram mammography measurement measurements mg minip mip mpr mr mri myelography nm note
object oct op pet phantom phase phases planning protocol pt puncture px quality radiograph
radiography radiotherapy ray rays recon reconstruction reformat report rf routine scan scans
scintigraphy scout screening series simulation slice slices sm sonography spect standard stent
study summary survey therapy tomography tomosynthesis topogram treatment ultrasound up us
volume vrt xa xc xray
"""

# Techniques
_TECHNIQUES = """
2d 3d 4d ac adc and anterior ap arterial at attenuation average ax axial b bilat bilateral body
bold bone both brain caudal cbf cbv cc cine color colour compound contrast cor coronal corrected
cranio craniocaudal cw decubitus delayed detail diffusion distal dixon dorsal dti dwi dynamic
early edge enhanced epi equilibrium erect expiration fat fbp fiesta filtered flair flash fmri for
freehand from frontal fse gated gating ge gre half harmonic haste helical in inferior inspiration
ir iterative kernel l lat late lateral lava left lm lordotic lower lt lung m map maps medial ml
mlo mode mprage mra mrcp mrv mtt multi nac native nonenhanced obl oblique of on or pa panoramic
parenchymal pc pd perfusion plain portal post posterior power pre prone prospective proximal pw r
raw rest retrospective right rt sag sagittal sat saturated se sequential sharp single sitting
smooth soft space spectroscopy spgr spine spiral ssfp standing star static stir stress sup
superior supine suppressed swan swi t2star the thick thin tissue tmax to tof tra trace transversal
transverse trigger triggered trufi tse uncorrected unenhanced upper upright venous ventral vibe
voxel w water wb weighted whole window with without wo
"""

# Anatomy
_ANATOMY = """
abdomen abdominal adrenal adrenals airway ankle aorta aortic appendix arch arm arteries artery
atrial atrium axilla axillary basilar bile biliary bladder bones bowel breast breasts bronchi
bronchus calcaneus calf cardiac carotid carotids cartilage cerebellum cerebral cerebrum cervical
cervix chest circle clavicle coccyx colon cord coronaries coronary cranial dental disc discs duct
ear ears elbow extremities extremity eye eyes face facial feet femur fetal fetus fibula finger
fingers foot forearm gallbladder gastric gynecological hand hands head heart heel hepatic hip hips
humerus hypophysis intestine jaw joint joints kidney kidneys knee knees large larynx leg legs
ligament liver lumbar lumbosacral lungs lymph mandible mastoid maxilla mediastinum mitral muscle
muscles nasal neck node nodes nose obstetric obstetrical orbit orbital orbits ovaries ovary
pancreas pancreatic parathyroid patella pelvic pelvis penis pericardium peripheral pharynx
pituitary placenta prostate pulmonary radius rectal rectum renal rib ribs runoff sacral sacrum
scapula scrotum sella septum shoulder sinus sinuses skin skull small spinal spleen splenic sternum
stomach subcutaneous teeth temporal tendon testes testis thigh thoracic thorax throat thumb
thyroid tibia tmj toe toes tooth trachea tricuspid ulna ureter urethra urinary uterine uterus
vagina valve vascular vein veins ventricle vertebra vertebrae vertebral vessel vessels willis
wrist
"""

# Findings in general words
_FINDINGS = """
abnormal aneurysm bleeding cancer cyst edema effusion embolism fracture hemorrhage infarct
ischemia lesion mass metastases metastasis normal pain pneumonia staging stenosis stone stones
stroke trauma tumor tumour
"""

# The same in other languages
_OTHER_LANGUAGES = """
anca avec bacino bassin bauch becken beidseits bekken borst brust buik bws cabeza cadera caviglia
cerebro cerveau cheville codo coeur collo colonna columna con contraste corazon corazón cou coude
crane crâne cuello cuore cœur derecha derecho destra destro droit droite elleboog ellenbogen enkel
epaule fegato foie fuss fuß gauche genou ginocchio gomito hanche handgelenk hart hersenen
heup higado hirn hombro hoofd hws hígado hüfte izquierda izquierdo knie kontrastmittel kopf
leber lever links lunge lws mit muneca muñeca nativ nek niere nieren ohne pie pied
piede poignet polmone pols polso poumon poumons pulmon pulmón rachis rechts rein reins rene rinon
riñón rodilla rug sans schaedel schouder schulter schädel senza sin sinistra sinistro spalla testa
tete tobillo torace torax tête tórax voet wirbelsäule zonder épaule
"""

SAFE_WORDS = frozenset(
    (_PROCEDURES + _TECHNIQUES + _ANATOMY + _FINDINGS + _OTHER_LANGUAGES).split()
)
"""In small letters."""

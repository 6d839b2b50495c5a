"""What the outline and the cloth of an item say, rules of thumb of a merchandiser.

Every threshold was set by looking at the 500 dev items alone. Sizes are shares of the item's own
height or width; ``pipelines/attributes.py`` explains each attribute in a sentence.
"""

from labeling_functions import labeling_function

MIRRORED = 0.75  # garments and bags are photographed from the front, shoes from the side


def is_shoe(item):
    return item.symmetry < MIRRORED and item.aspect < 1.35


def is_garment(item):
    return item.symmetry >= MIRRORED and item.upper_fill > 0.55 and item.aspect > 0.95


def is_top(item):
    return is_garment(item) and item.aspect < 1.6


# --- trousers and dresses: longer than wide ---------------------------------------------------


@labeling_function()
def two_legs(item):
    """Trousers: an open gap runs between two legs."""
    if item.leg_gap > 0.6 and item.aspect > 1.6 and item.upper_fill > 0.7:
        return "trouser"


@labeling_function(columns=["top_width", "shoulder_width", "aspect"], vote="trouser")
def straight_and_narrow(top_width, shoulder_width, aspect):
    """Trousers: long, narrow, and as wide at the waistband as anywhere."""
    return (aspect > 1.9) & (top_width > 0.7) & (shoulder_width > 0.95)


@labeling_function()
def long_and_whole(item):
    """Dresses: much longer than wide, and no gap between legs."""
    if item.aspect > 1.75 and item.leg_gap < 0.2:
        return "dress"


@labeling_function()
def wide_skirt(item):
    """Dresses: a narrow bodice above a skirt that is wide at the hem."""
    if is_garment(item) and item.aspect > 1.5 and item.hem_width > 0.8 and item.chest_width < 0.8:
        return "dress"


@labeling_function()
def slim_body(item):
    """Dresses: the body is narrow for its length and the sides are bare."""
    if is_garment(item) and item.leg_gap < 0.2 and item.body_width < 0.45 and item.side_shade < -0.4:
        return "dress"


# --- tops -------------------------------------------------------------------------------------


@labeling_function(columns=["symmetry", "upper_fill", "aspect", "leg_gap"], vote="tops")
def worn_above_the_waist(symmetry, upper_fill, aspect, leg_gap):
    """Tops: seen from the front, filled above, not much longer than wide."""
    return (symmetry >= MIRRORED) & (upper_fill > 0.6) & aspect.between(1.05, 1.5) & (leg_gap < 0.5)


@labeling_function()
def short_sleeves(item):
    """T-shirts: wide at the shoulders, then the sleeves end and the body goes on narrower."""
    if is_top(item) and item.aspect < 1.45 and item.hip_width < 0.7 and item.shoulder_width > 0.85:
        return "t-shirt"


@labeling_function()
def sleeves_end_high(item):
    """T-shirts: the widest line, where the sleeves end, lies in the upper half."""
    if is_top(item) and item.sleeve_reach < 0.5 and item.toe_height > 0.84 and item.aspect < 1.4:
        return "t-shirt"


@labeling_function()
def bare_arms(item):
    """T-shirts: no sleeves below the chest and a print in front."""
    if is_top(item) and item.sleeve_width < 0.02 and item.waist_width < 0.75 and item.print > 0.05:
        return "t-shirt"


@labeling_function()
def plain_long_sleeves(item):
    """Pullovers: long sleeves hang beside a front without buttons, zip or opening."""
    if is_top(item) and item.hem_width > 0.93 and item.front_line < 0.06 and item.arch_gap > 0.1:
        return "pullover"


@labeling_function()
def arms_and_round_neck(item):
    """Pullovers: sleeves set off by a dark line, and a round neck."""
    if is_top(item) and item.sleeve_line > 1.1 and item.hem_width > 0.9 and item.shaft_width > 0.68:
        return "pullover"


@labeling_function()
def ribbed_hem(item):
    """Pullovers: sleeves reach the hem, shoulders are square and the neckline dips."""
    if (
        is_top(item)
        and item.sleeve_reach > 0.95
        and item.shaft_width > 0.68
        and item.neck_depth > 0.005
        and item.aspect < 1.45
    ):
        return "pullover"


@labeling_function()
def open_front(item):
    """Coats: a line runs down the front of a long-sleeved garment that is closed at the neck."""
    if is_top(item) and item.front_line > 0.15 and item.neck_depth < 0.01 and item.waist_width > 0.9:
        return "coat"


@labeling_function()
def high_collar(item):
    """Coats: a narrow collar stands on sloping shoulders, over rough or quilted cloth."""
    if is_top(item) and item.top_width < 0.45 and item.vertical_lines > 0.55 and item.roughness > 0.05:
        return "coat"


@labeling_function()
def heavy_sleeves(item):
    """Coats: low sloping shoulders and sleeves as wide as the hem."""
    if is_top(item) and item.ankle_height < 0.77 and item.waist_width > 0.97:
        return "coat"


@labeling_function()
def collar_and_smooth_cloth(item):
    """Shirts: a narrow collar, smooth cloth."""
    if is_top(item) and item.top_width < 0.45 and item.roughness < 0.045 and item.hem_width < 0.94:
        return "shirt"


@labeling_function()
def curved_tail(item):
    """Shirts: the hem is rounded, narrower than the body above it."""
    if is_top(item) and item.hem_width < item.hip_width - 0.05 and item.waist_width > 0.85:
        return "shirt"


@labeling_function()
def full_smooth_body(item):
    """Shirts: wide, filled body with sleeves that lie close."""
    if is_top(item) and item.openness < 0.01 and item.fill > 0.84 and item.hem_width < 0.95:
        return "shirt"


# --- footwear ---------------------------------------------------------------------------------


@labeling_function(columns=["symmetry", "aspect"], vote="footwear")
def seen_from_the_side(symmetry, aspect):
    """Footwear: wider than tall, and toe and heel do not mirror each other."""
    return (symmetry < 0.7) & (aspect < 1.3)


@labeling_function()
def straps_and_gaps(item):
    """Sandals: much of the shoe is open between straps."""
    if is_shoe(item) and item.openness > 0.15:
        return "sandal"


@labeling_function()
def thin_sole(item):
    """Sandals: a thin sole with little above it."""
    if is_shoe(item) and item.sole_height < 0.15 and item.fill < 0.55:
        return "sandal"


@labeling_function()
def flat_and_closed(item):
    """Sneakers: low, closed, flat on the ground."""
    if is_shoe(item) and item.aspect < 0.6 and item.openness < 0.12 and item.arch_gap < 0.06:
        return "sneaker"


@labeling_function()
def low_shoe(item):
    """Sneakers: the ankle is hardly higher than the instep."""
    if is_shoe(item) and item.aspect < 0.55 and item.collar < -0.4 and item.toe_height > 0.3:
        return "sneaker"


@labeling_function()
def covers_the_ankle(item):
    """Boots: a shaft rises well above the toe."""
    if is_shoe(item) and item.slope > 0.45 and item.sole_height > 0.26 and item.openness < 0.1:
        return "boot"


@labeling_function()
def heel_and_shaft(item):
    """Boots: a closed shoe on a heel, open under the arch."""
    if is_shoe(item) and item.arch_gap > 0.03 and item.sole_height > 0.26:
        return "boot"


# --- bags -------------------------------------------------------------------------------------


@labeling_function()
def handle_above(item):
    """Bags: a handle encloses open space above a filled body."""
    if item.handle > 0.08 and item.lower_fill > 0.7 and item.aspect < 1.6:
        return "bag"


@labeling_function(columns=["aspect", "symmetry", "lower_fill"], vote="bag")
def wide_box(aspect, symmetry, lower_fill):
    """Bags: a mirrored box, no taller than wide."""
    return (aspect < 0.95) & (symmetry > 0.8) & (lower_fill > 0.75)


@labeling_function()
def body_below_a_strap(item):
    """Bags: little at the top, a full body below."""
    if item.symmetry > 0.75 and item.upper_fill < 0.55 and item.lower_fill > 0.75:
        return "bag"

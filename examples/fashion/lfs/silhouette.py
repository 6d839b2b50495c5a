"""What the outline and the cloth of an item say, rules of thumb of a merchandiser.

Every threshold was set by looking at the 500 dev items alone. Sizes are shares of the item's own
height or width; ``pipelines/attributes.py`` explains each attribute in a sentence.
"""

from labeling_functions import labeling_function

LEANING = 0.12  # a garment or bag seen from the front slopes less, a shoe from the side more


def is_shoe(item):
    return item.slope > LEANING and item.aspect < 1.35 and item.symmetry < 0.78


def is_garment(item):
    return item.slope < LEANING and item.upper_fill > 0.55 and item.sole_height > 0.75


def is_top(item):
    return is_garment(item) and 0.9 < item.aspect < 1.6


# --- trousers and dresses: longer than wide ---------------------------------------------------


@labeling_function()
def two_legs(item):
    """Trousers: an open gap runs between two legs."""
    if item.leg_gap > 0.6 and item.aspect > 1.6 and item.upper_fill > 0.7:
        return "trouser"


@labeling_function(columns=["top_width", "shoulder_width", "aspect"], vote="trouser")
def straight_and_narrow(top_width, shoulder_width, aspect):
    """Trousers: long, narrow, and as wide at the waistband as anywhere."""
    return (aspect > 1.9) & (top_width > 0.75) & (shoulder_width > 0.95)


@labeling_function()
def long_and_whole(item):
    """Dresses: much longer than wide, no gap between legs, narrower above than below."""
    if item.aspect > 1.6 and item.leg_gap < 0.12 and item.shoulder_width < 0.97:
        return "dress"


@labeling_function()
def narrow_bodice(item):
    """Dresses: longer than wide, and narrow at the chest."""
    if item.aspect > 1.5 and item.chest_width < 0.82 and item.leg_gap < 0.2:
        return "dress"


@labeling_function()
def slim_body(item):
    """Dresses: the body is narrow for its length, and no waistband on top."""
    if (
        is_garment(item)
        and item.leg_gap < 0.2
        and item.body_width < 0.42
        and item.shoulder_width < 0.97
    ):
        return "dress"


# --- tops -------------------------------------------------------------------------------------


@labeling_function(columns=["slope", "upper_fill", "aspect", "leg_gap"], vote="tops")
def worn_above_the_waist(slope, upper_fill, aspect, leg_gap):
    """Tops: seen from the front, filled above, not much longer than wide."""
    return (slope < LEANING) & (upper_fill > 0.6) & aspect.between(1.05, 1.5) & (leg_gap < 0.5)


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
def square_shoulders_and_bare_sides(item):
    """T-shirts: high square shoulders, and bare sides below the sleeves."""
    if is_top(item) and item.ankle_height > 0.85 and item.side_shade < -0.35:
        return "t-shirt"


@labeling_function()
def plain_long_sleeves(item):
    """Pullovers: long sleeves hang beside a front without buttons, zip or opening."""
    if is_top(item) and item.hem_width > 0.9 and item.front_line < 0.06 and item.arch_gap > 0.08:
        return "pullover"


@labeling_function()
def arms_and_square_shoulders(item):
    """Pullovers: square shoulders, and sleeves set off from the body by a dark line."""
    if is_top(item) and item.sleeve_line > 0.95 and item.hem_width > 0.9 and item.top_width > 0.5:
        return "pullover"


@labeling_function()
def sleeves_to_the_hem(item):
    """Pullovers: square shoulders, and sleeves that reach the hem."""
    if (
        is_top(item)
        and item.sleeve_width > 0.05
        and item.shaft_width > 0.68
        and item.hem_width > 0.9
    ):
        return "pullover"


@labeling_function()
def line_down_the_front(item):
    """Coats: a zip or an open front, under a narrow collar, with long sleeves."""
    if is_top(item) and item.front_line > 0.1 and item.top_width < 0.5 and item.hem_width > 0.85:
        return "coat"


@labeling_function()
def collar_on_rough_cloth(item):
    """Coats: a narrow collar over quilted, knitted or rough cloth."""
    if (
        is_top(item)
        and item.top_width < 0.47
        and item.vertical_lines > 0.55
        and item.roughness > 0.05
    ):
        return "coat"


@labeling_function()
def heavy_sleeves(item):
    """Coats: low sloping shoulders, and wide from the waist down."""
    if is_top(item) and item.ankle_height < 0.78 and item.waist_width > 0.97:
        return "coat"


@labeling_function()
def collar_on_smooth_cloth(item):
    """Shirts: shoulders slope from a collar, the cloth is smooth, the sleeves stay off the hem."""
    if (
        is_top(item)
        and item.ankle_height < 0.81
        and item.roughness < 0.05
        and item.hem_width < 0.94
    ):
        return "shirt"


@labeling_function()
def rounded_tail(item):
    """Shirts: below sloping shoulders, plain cloth runs down to a hem narrower than the waist."""
    if (
        is_top(item)
        and item.toe_height < 0.8
        and item.print < 0.12
        and item.hem_width < item.waist_width - 0.02
        and item.leg_gap < 0.1
    ):
        return "shirt"


@labeling_function()
def full_smooth_body(item):
    """Shirts: a wide, full body with sleeves that lie close."""
    if is_top(item) and item.openness < 0.01 and item.fill > 0.84 and item.hem_width < 0.95:
        return "shirt"


# --- footwear ---------------------------------------------------------------------------------


@labeling_function(columns=["slope", "symmetry", "aspect"], vote="footwear")
def seen_from_the_side(slope, symmetry, aspect):
    """Footwear: no taller than long, low at the toe and high at the ankle."""
    return (slope > LEANING) & (symmetry < 0.78) & (aspect < 1.35)


@labeling_function()
def straps_and_gaps(item):
    """Sandals: much of the shoe is open between straps."""
    if is_shoe(item) and item.openness > 0.15 and item.waist_width < 0.9:
        return "sandal"


@labeling_function()
def open_instep(item):
    """Sandals: the middle of the shoe is open, with gaps between straps."""
    if is_shoe(item) and item.leg_gap > 0.31 and item.toe_height < 0.47 and item.sleeve_line > 0.35:
        return "sandal"


@labeling_function()
def little_leather(item):
    """Sandals: the shoe covers less than half of its own frame."""
    if is_shoe(item) and item.fill < 0.48:
        return "sandal"


@labeling_function()
def low_shoe(item):
    """Sneakers: an opening in the middle, and the ankle is not much higher than the toe."""
    if is_shoe(item) and item.slope < 0.42 and item.toe_height > 0.33 and item.opening > 0.35:
        return "sneaker"


@labeling_function()
def opening_lies_low(item):
    """Sneakers: a closed upper along the whole sole, and a low opening for the foot."""
    if (
        is_shoe(item)
        and item.opening > 0.45
        and item.ankle_height < 0.86
        and item.waist_width > 0.72
        and item.openness < 0.2
    ):
        return "sneaker"


@labeling_function()
def covers_the_ankle(item):
    """Boots: a closed shaft rises well above the toe."""
    if is_shoe(item) and item.slope > 0.45 and item.sole_height > 0.26 and item.openness < 0.08:
        return "boot"


@labeling_function()
def closed_shoe_on_a_heel(item):
    """Boots: a closed, smooth shoe on a heel, open under the arch."""
    if is_shoe(item) and item.arch_gap > 0.03 and item.sole_height > 0.26 and item.texture < 0.45:
        return "boot"


# --- bags -------------------------------------------------------------------------------------


@labeling_function()
def handle_above(item):
    """Bags: a handle encloses open space above a filled body."""
    if item.handle > 0.05 and item.slope < LEANING and item.arch_gap < 0.1:
        return "bag"


@labeling_function(columns=["aspect", "slope", "sleeve_line"], vote="bag")
def wide_box(aspect, slope, sleeve_line):
    """Bags: no taller than wide, seen from the front, and no line sets off a sleeve."""
    return (aspect < 1.05) & (slope < LEANING) & (sleeve_line < 0.5)


@labeling_function()
def low_solid_body(item):
    """Bags: a full body, not taller than the item is wide, and nothing gapes below."""
    if (
        item.slope < LEANING
        and item.sole_height < 0.95
        and item.lower_fill > 0.75
        and item.arch_gap < 0.09
    ):
        return "bag"


@labeling_function()
def body_below_a_strap(item):
    """Bags: little at the top, a full body below."""
    if item.slope < LEANING and item.upper_fill < 0.6 and item.lower_fill > 0.75:
        return "bag"

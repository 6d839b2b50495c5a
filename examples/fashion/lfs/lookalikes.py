"""What a handful of example pictures says: an item that looks like them gets their class.

The examples are dev items: a few of each kind of the class, and the look-alikes that must not be
taken for it. ``at_least`` depends on the encoder and was set on dev alone.
"""

from labeling_functions import prototype

looks_like_a_bag = prototype(
    "bag",
    positives=["08018", "08100", "08269", "08068", "08143", "08152"],  # handles, clutches, totes
    negatives=["08461", "08259", "08212", "08043", "08313"],  # boxy tops, a low shoe
    at_least=0.3,
    description="Bags: it looks like six examples, and less like five boxy items that are none.",
)

looks_like_a_sneaker = prototype(
    "sneaker",
    positives=["08036", "08136", "08429", "08441", "08163", "08218"],
    negatives=["08073", "08476", "08197", "08010", "08319"],  # low sandals, low boots
    at_least=0.35,
    description="Sneakers: it looks like six examples, and less like three sandals and two boots.",
)

looks_like_a_dress = prototype(
    "dress",
    positives=["08482", "08234", "08392", "08128", "08047", "08093"],
    negatives=["08184", "08296", "08066", "08332", "08279"],  # long tops, a wide trouser
    at_least=0.45,
    description="Dresses: it looks like six examples, and less like five long items that are none.",
)

looks_like_a_shirt = prototype(
    "shirt",
    positives=["08039", "08030", "08388", "08310", "08293", "08183"],
    negatives=["08498", "08497", "08495", "08489"],  # two dresses, a coat, a t-shirt
    at_least=0.35,
    description="Shirts: it looks like six examples, and less like four other tops and dresses.",
)

looks_like_a_pullover = prototype(
    "pullover",
    positives=["08494", "08061", "08473", "08344", "08454", "08025"],
    negatives=["08263", "08432", "08474", "08471"],  # two shirts, two coats
    at_least=0.35,
    description="Pullovers: it looks like six examples, and less like two shirts and two coats.",
)

looks_like_a_coat = prototype(
    "coat",
    positives=["08198", "08288", "08384", "08383", "08350", "08338"],
    negatives=["08336", "08354", "08498", "08497"],  # two shirts, two dresses
    at_least=0.4,
    description="Coats: it looks like six examples, and less like two shirts and two dresses.",
)

looks_like_a_t_shirt = prototype(
    "t-shirt",
    positives=["08180", "08130", "08371", "08223", "08003", "08458"],
    negatives=["08094", "08498", "08495"],  # two dresses, a coat
    at_least=0.3,
    description="T-shirts: it looks like six examples, and less like two dresses and a coat.",
)

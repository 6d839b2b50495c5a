"""What a handful of example pictures says: an item that looks like them gets their class.

The examples are dev items: a few of each kind of the class, and the look-alikes that must not be
taken for it. ``at_least`` depends on the encoder and was set on dev alone.
"""

from labeling_functions import prototype

looks_like_a_bag = prototype(
    "bag",
    positives=["08018", "08100", "08269", "08068", "08143", "08152"],  # handles, clutches, totes
    negatives=["08461", "08259", "08212", "08043", "08313"],  # boxy tops, a low shoe
    at_least=0.8,
    description="Bags: it looks like six examples, and less like five boxy items that are none.",
)

looks_like_a_sneaker = prototype(
    "sneaker",
    positives=["08036", "08136", "08429", "08441", "08163", "08218"],
    negatives=["08073", "08476", "08197", "08010", "08319"],  # low sandals, low boots
    at_least=0.8,
    description="Sneakers: it looks like six examples, and less like three sandals and two boots.",
)

looks_like_a_dress = prototype(
    "dress",
    positives=["08482", "08234", "08392", "08128", "08047", "08093"],
    negatives=["08184", "08296", "08066", "08332", "08279"],  # long tops, a wide trouser
    at_least=0.8,
    description="Dresses: it looks like six examples, and less like five long items that are none.",
)

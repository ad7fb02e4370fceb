"""The prompts of HDDM's figures, word for word: the paper's data, for what can show them.

The captions of Figs 7-10 and 12 are printed beside their pictures, and Fig 3's in its caption. Of
Figs 1, 5, 11, 13, 14 and 15 no prompt is printed: they take printed ones that fit what is said of
them, sunsets for Fig 13, animals and nature for Fig 11, vehicles for Fig 14.
"""

from datamodules.sources.classed import Classed
from datamodules.sources.digits import Digits
from datamodules.sources.scenes import Scenes
from datamodules.sources.source import Source

PRINTED: dict[int, tuple[str, ...]] = {
    3: ("a red car in front of the tree",),
    7: (
        "A peacock displaying its colorful feathers",
        "Delicious strawberry cake with white frosting",
        "A sailboat on a misty lake at sunrise",
        "Sliced bread with jam",
        "A cute cat sitting on a cushion",
        "Sunset over a calm ocean",
        "Trees are surrounded by a dry grass field, giving the scene a somewhat barren appearance",
        "Close-up of a chocolate cupcake with a swirl of frosting on top",
        "A mountainous landscape with a large mountain covered in snow and the surrounding "
        "area is filled with trees. The scene is painted in a vibrant color palette, with the"
        " mountain and trees appearing in shades of blue, green, and yellow.",
        "A lighthouse on a rocky cliff during a storm",
        "A small wooden cabin with a shingled roof, surrounded by a garden of flowers.",
        "A miniature park scene with a variety of people and animals painted mainly in green "
        "and brown with a combination of a painting and a photograph",
        "A beautiful beach scene with a rocky coastline and a lush green hillside.",
        "Woman wearing a black dress and a red scarf",
        "A close-up of a purple flower",
        "A delicious-looking dish, possibly a quiche, served in a black pan.",
    ),
    8: (
        "Painting depicting a woman with long, flowing hair and a beautifully adorned "
        "headpiece, wearing a blue dress, is surrounded by various decorative elements.",
        "Wooden cabin in snowy forest",
        "A bustling city street scene with a group of people walking down the sidewalk.",
        "A beautiful landscape with a lush green field and a mountain in the background, "
        "painted in vibrant blue color.",
        "A tranquil Japanese garden with koi pond and bamboo",
        "A large white boat traveling through the water",
        "A kitchen with a red and silver theme. The kitchen is equipped with a red oven, a "
        "red refrigerator, and a red countertop.",
        "SUV in desert landscape",
        "A painting showing people gathered around a tree, with some sitting and others "
        "standing, warm and inviting mood",
        "The outfit consists of a pink top and blue shorts, both adorned with a floral pattern",
        "Mountain lake with perfect reflection",
        "A woman wearing a gold and blue headdress, possibly a Pharaoh's headdress, and a "
        "brown dress",
        "An Underwater coral reef with tropical fish",
        "A small, modern-looking house with a large deck and a glass roof",
        "A steaming cup of coffee on a wooden table",
        "The image showcases a large buffet table filled with a variety of food items, "
        "including fruits, desserts, and beverages.",
    ),
    9: (
        "A rustic kitchen with wooden walls and a dirt floor.",
        "A snowy owl perched on a frost-covered branch",
        "A serene scene of a grassy field with a hill in the background, filled with a "
        "variety of flowers, impressionistic art style",
        "A serene scene of a tree-lined pathway overlooking the ocean, with predominantly "
        "green, blue, and white color, creating a calm and peaceful atmosphere",
        "Wolf standing in the darkness.",
        "A beautifully decorated Christmas tree in a living room and the tree is adorned with"
        " numerous red ornaments",
        "A rainbow appearing after rainfall over hills",
        "A cozy and colorful living space, featuring a small kitchen and a living area.",
        "A small red house with white trim, surrounded by greenery. The house has a white "
        "door and a window, and it is adorned with a variety of potted plants, flowers, and "
        "vases.",
        "A delicious dessert in a glass bowl, consisting of layers of cake and strawberries; "
        "the cake is white and creamy, while the strawberries are red and fresh",
        "A picturesque scene of a tent pitched on a rocky hillside, overlooking a serene lake",
        "A serene scene of a mountain lake surrounded by lush greenery, where the lake is "
        "filled with rocks",
        "A bird showing off its beautiful feather",
        "Realistic portrait of a young woman with soft, natural lighting, wearing a detailed "
        "red and white textured neckline, reminiscent of Renaissance or Baroque portraiture",
        "A desert oasis with palm trees",
        "A cozy, old-fashioned kitchen with a wooden table and chairs where the room is "
        "painted in a light green color and the table is set with bowls and spoons",
    ),
    10: (
        "A small yellow house situated on a hillside, overlooking a body of water",
        "Sandwich with macaroni",
        "A small wooden cabin with a shingled roof, situated in a forest. The cabin is "
        "surrounded by trees, creating a serene and peaceful atmosphere. The cabin has a "
        "porch with a bench",
        "A serene landscape with a river flowing through a valley, surrounded by trees and "
        "mountains. The river is the main subject, with its calm waters reflecting the "
        "natural beauty of the scene.",
        "A watercolor style painting illustrating a charming cottage with a garden setting, "
        "surrounded by a variety of flowers, including pink and purple ones.",
        "A cozy library with tall bookshelves and warm lighting",
        "A blue sports car parked in a dark parking lot",
        "A cafe terrace in Paris at evening",
        "A lively scene of numerous hot air balloons floating in the sky and are spread "
        "across the entire sky and a crowd of people gathered on the ground, watching the "
        "spectacle and enjoying the event",
        "An impressionistic painting describing a bustling city scene with a large crowd of "
        "people walking. The cityscape features a mix of architectural styles, including a "
        "prominent cathedral and a castle-like structure",
        "The impressionistic painting depicts a serene scene of a forest with a mix of trees "
        "and bushes. The trees are predominantly orange, creating a warm and vibrant "
        "atmosphere.",
        "A painting depicting serene scene of a small stream flowing through a forest, with "
        "natural and peaceful mood",
        "A rare blue poppy blooming among rocks",
        "A brown teddy bear wearing a brown bow tie",
        "a white teepee tent with a lacey canopy, set up in a grassy area, adorned with a "
        "white flower, adding a touch of elegance to the scene",
        "An off-road rally car splashing through muddy terrain",
    ),
    12: (
        "A rusty abandoned car overgrown with vines in a forest",
        "A chrome-plated Harley Davidson motorcycle parked on the road",
        "A motocross bike performing a backflip trick in mid-air",
        "A white bowl filled with a delightful assortment of cookies. The cookies are "
        "decorated with white icing and are topped with a green mint leaf.",
    ),
}


def _these(*which: tuple[int, int]) -> tuple[str, ...]:
    return tuple(PRINTED[figure][i] for figure, i in which)


SHOWN: dict[int, tuple[str, ...]] = {
    1: _these(*((figure, i) for figure in (7, 8, 9, 10) for i in range(15))),
    5: _these((7, 0), (7, 4), (7, 7), (7, 14), (8, 4), (8, 7), (9, 1), (9, 3)),
    **{figure: PRINTED[figure] for figure in (7, 8, 9, 10)},
    11: _these((7, 0), (7, 4), (9, 1), (9, 4), (9, 12), (8, 10), (10, 12), (7, 9)),
    12: PRINTED[12],
    13: 5 * _these((7, 5)),
    14: _these((8, 7), (10, 6), (10, 15), (12, 0), (12, 1)),
    15: _these(*((figure, i) for figure in (7, 8, 9, 10) for i in (0, 5, 14)))[:10],
}
"""What each figure shows, from its first picture to its last. Every one starts from noise of its
own, so that Fig 13's one sunset is five pictures."""

CAPTIONS: tuple[str, ...] = sum(SHOWN.values(), ())
"""One sample set serves all figures: their prompts in order."""


def can_show(source: Source) -> bool:
    """Whether pictures like a source's can show what these prompts name."""
    return not isinstance(source, Digits | Scenes | Classed)


def places(figure: int) -> range:
    """Where among CAPTIONS a figure's own stand."""
    start = sum(len(prompts) for f, prompts in SHOWN.items() if f < figure)
    return range(start, start + len(SHOWN[figure]))

"""What each picture of results/<scale>/figures shows: its caption, which is also read aloud.

The pictures have no text of their own but labels, and a screen reader sees not even those.
"""

import re
from collections.abc import Sequence

GRID = "Samples of seed 0, a line for each row; down a column the prompt and the noise are the same"
APART = (
    "the same prompts and noise, and beside each row how far its pictures lie above (orange) or "
    "below (blue) the first row's"
)
PIPELINES = "the paper's pipeline and ours, the same prompts and noise"

SOLVED = {"ensemble": "an ensemble", "fm": "an FM monolith", "ddpm": "a DDPM monolith"}

CAPTIONS = {
    "table1": f"Table 1 as pictures. {GRID}.",
    "table3": "Table 3 as pictures of seed 0: FM, and native, converted and combined sampling from "
    f"{APART}.",
    "table4": f"Table 4 as pictures. {GRID}.",
    "ablation-threshold": "FID, diversity over all pairs, and that within a prompt, or KID where "
    "each is asked once, over the threshold between FM and DDPM, each seed's less its own by the "
    "paper's reading half way; whiskers for 95 % intervals.",
    "ablation-ordering": f"FM first and DDPM first, at every switching time, from {APART}.",
    "ablation-schedules": "Experts alone and mixtures, different schedules and the same, from "
    f"{APART}.",
    "ablation-selection": "FID less that of Top-2 by the same router: a row for each selection, "
    "the cheapest on top, its expert evaluations a sample at the right end; text-free and "
    "text-aware routers apart; whiskers for 95 % intervals.",
    "ablation-sampling": "FID where the router is asked seldom or guidance is given in a part of "
    "the times only, less that of sampling which spares neither: a row for each, the cheapest on "
    "top, the FLOPs of a sample at the right end; whiskers for 95 % intervals. A router "
    "asked once is left out.",
    "ablation-assignment": "The regret in FID of each way to choose the clusters that DDPM learns, "
    "above the best of all fixed sets: two rules, none, all, the paper's two and sets drawn at "
    "random; whiskers for 95 % intervals.",
    "ablation-init": "Validation loss over training steps, from scratch and begun with another "
    "objective's weights: means over seeds, bands for 95 % intervals.",
    "ablation-router": "The router's accuracy, calibration error and log loss over t, with and "
    "without text, as trained and calibrated.",
    "ablation-text": "What a text-free router loses against what captions tell of clusters: prompt "
    "accuracy and FID by the information between caption and cluster.",
    "ablation-ratio": "FID, diversity and prompt accuracy over the number of DDPM experts among "
    "eight.",
    "ablation-join": f"An expert that joins or leaves, by the rule that takes the router's place. "
    f"{GRID}.",
    "ablation-alignment": "Six measures of whether the selected experts know the state they are "
    "asked about, over t: at held-out states first, then at states met in sampling.",
    "ablation-weights": "Weight on the x0 error over t, by objective: closed forms as lines, "
    "measurements by losses and by gradients as points.",
    "ablation-weights-errors": "Error in x0 over the noise level, by objective, and as a multiple "
    "of the DDPM expert's.",
    "ablation-readings": "Velocity error of a converted expert over t, a row for each reading of "
    "the conversion, on networks whose truth is known.",
    "ablation-sharpness": f"Who is sharp: Full, Top-k and mixed objectives. {GRID}.",
    "ablation-adaln": f"AdaLN-Single and AdaLN-Zero. {GRID}.",
    "ablation-times": f"Experts trained at other densities and in ranges of t. {GRID}.",
    "ablation-times-fid": "FID of experts trained at other densities and in ranges of t, less that "
    "of uniform t: of all data, and of a cluster each; whiskers for 95 % intervals.",
    "ablation-times-prompts": "Prompt accuracy of experts trained at other densities and in ranges "
    "of t, less that of uniform t; whiskers for 95 % intervals.",
    "ablation-times-unsaid": "Distance of the unsaid factors from the truth, of experts trained at "
    "other densities and in ranges of t, less that of uniform t; whiskers for 95 % intervals.",
    "ablation-guidance": "FID, prompt accuracy and the unsaid factors' distance from the truth "
    "over the scale of guidance, a line for each way of routing its halves.",
    **{
        f"ablation-solver-{model}": f"Distance to the solution, FID and prompt accuracy of {whose} "
        "over evaluations of the field, a line for each solver."
        for model, whose in SOLVED.items()
    },
    **{
        f"ablation-k{budget}{form}": "FID, prompt accuracy and the unsaid factors' distance from "
        f"the truth, less the monolith's, over the number of experts, drawn with as many {equal}: "
        f"each strategy with a {router} router, and real pictures. Of two experts Top-2 is Full; "
        "whiskers for 95 % intervals of these differences."
        for budget, equal in (("", "solver steps"), ("-evaluations", "evaluations"))
        for form, router in (("", "text-aware"), ("-text-free", "text-free"))
    },
    "distill": f"Students, their teachers, monoliths and one expert alone. {GRID}.",
    "distill-fid": "FID of students, teachers and longer monoliths, less the monolith's; whiskers "
    "for 95 % intervals.",
    "distill-variation": "Distance of the unsaid factors from the truth, of students, teachers and "
    "longer monoliths, less the monolith's; whiskers for 95 % intervals.",
    "ablation-trajectories": "Each cluster's share of the weight over t along the trajectories of "
    "Top-2, a map for the text-free router and one for the text-aware one.",
    "fig01": f"Fig 1: a mosaic of samples of 2DDPM:6FM, {PIPELINES}.",
    "fig02": "Fig 2: one step of sampling. A noisy picture goes to the router and the experts; "
    "converted and weighted, their predictions become one velocity.",
    "fig03": "Fig 3: samples of every start after equal steps, from one noise and prompt.",
    "fig05": f"Fig 5: homogeneous beside heterogeneous experts, {PIPELINES}.",
    "fig06": "Fig 6: training. Pictures are clustered, each expert sees one cluster alone, and the "
    "router learns which cluster a noisy picture is from.",
    "fig07": f"Fig 7: a gallery of 2DDPM:6FM, {PIPELINES}.",
    "fig08": f"Fig 8: a gallery of 1DDPM:7FM, {PIPELINES}.",
    "fig09": f"Fig 9: a gallery of 8FM, {PIPELINES}.",
    "fig10": f"Fig 10: a second gallery of 2DDPM:6FM, {PIPELINES}.",
    "fig11": f"Fig 11: heterogeneous beside homogeneous experts, {PIPELINES}.",
    "fig12": f"Fig 12: two more prompts, heterogeneous beside homogeneous, {PIPELINES}.",
    "fig13": "Fig 13: FM first and DDPM first, switched at t = 0.3, 0.5 and 0.7, under three "
    "readings.",
    "fig14": "Fig 14: different schedules for the two experts beside the same schedule.",
    "fig15": f"Fig 15: Top-1, Top-2 and Full on 2DDPM:6FM, {PIPELINES}.",
    "paris2-table1": "Paris 2.0's Table 1 as clips: the same held-out prompts, from the same "
    "noise, by every model, frame by frame.",
    "paris2-fig2": "Fig 2 of Paris 2.0: the gain over the monolith in each score, in percent. "
    "Motion, which has no preferred direction, is grey.",
    "paris2-fig3": "Fig 3 of Paris 2.0: what devices exchange in training, under data, pipeline, "
    "tensor and context parallelism, and under a DDM, which exchanges nothing.",
    "paris2-fig4": "Fig 4 of Paris 2.0: sampling. The router reads the noisy latent, t, the pooled "
    "caption and perhaps a first frame; the experts' velocities become one, and the solver's step.",
    "paris2-router": "Accuracy of the video router over t, by what it reads.",
    "paris2-switching": "Scores of five schedules over two experts, with 95 % intervals.",
    "paris2-i2v": "Clips from a caption, and from a caption and a first frame.",
}
OWNERS = {f"paris2-fig{n}": "paris2-table1" for n in (2, 3, 4)} | {"fig03": "ablation-init"}
"""Tables of pictures that are not named after them."""


def owner(figure: str, tables: Sequence[str]) -> str | None:
    """The table among these that draws a picture, by its name."""
    if figure in OWNERS or re.fullmatch(r"fig\d+", figure):
        return OWNERS.get(figure, "figures")
    alike = [name for name in tables if f"{figure}-".startswith(f"{name}-")]
    return max(alike, key=len, default=None)


def caption(figure: str, title: str) -> str:
    """What a picture shows; of one that has no words here, what its table is about."""
    return CAPTIONS.get(figure, f"{title}.")

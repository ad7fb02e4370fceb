"""The page and its addresses: type a prompt, watch the router's weights while it draws."""

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from fastapi.templating import Jinja2Templates
from starlette.concurrency import run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware

from experiments.sample.pictures import shown
from experiments.serve import engine
from experiments.serve.engine import BusyError, DrawingEngine, DrawnPicture

TEMPLATES = Jinja2Templates(Path(__file__).parent / "templates")
Prompt = Annotated[str, Query(max_length=2000)]
Seed = Annotated[int, Query(ge=0, lt=2**31)]
Steps = Annotated[int, Query(ge=1, le=250)]
Guidance = Annotated[float, Query(ge=0, le=50)]


def png(picture: DrawnPicture) -> bytes:
    """The file."""
    content = io.BytesIO()
    shown(picture.picture).save(content, "PNG")
    return content.getvalue()


def app(drawing: DrawingEngine, experts: int, hosts: Sequence[str]) -> FastAPI:
    """hosts: the names under which it may be called; a page elsewhere cannot pass for it."""
    application = FastAPI(title="Experts served apart", docs_url=None, redoc_url=None)
    application.add_middleware(TrustedHostMiddleware, allowed_hosts=[*hosts])

    def submitted(prompt: str, seed: int, steps: int, cfg: float) -> engine.Request:
        try:
            return drawing.submit(prompt, seed, steps, cfg)
        except BusyError as error:
            raise HTTPException(503, str(error)) from error
        except ValueError as error:
            raise HTTPException(422, str(error)) from error

    @application.get("/", response_class=HTMLResponse)
    def page(request: Request) -> Any:
        return TEMPLATES.TemplateResponse(request, "index.html", {"experts": experts})

    @application.get("/picture")
    def picture(prompt: Prompt, seed: Seed = 0, steps: Steps = 25, cfg: Guidance = 2.0) -> Response:
        """The picture as PNG, and how many experts were asked a step."""
        drawn = submitted(prompt, seed, steps, cfg).done.result()
        return Response(png(drawn), media_type="image/png", headers={"X-Asked": str(drawn.asked)})

    @application.get("/draw")
    async def draw(
        prompt: Prompt, seed: Seed = 0, steps: Steps = 25, cfg: Guidance = 2.0
    ) -> StreamingResponse:
        """Events: `step` with t and weights, then `picture`, or `failed` with a reason."""
        asked = await run_in_threadpool(submitted, prompt, seed, steps, cfg)
        return StreamingResponse(_events(asked), media_type="text/event-stream")

    return application


async def _events(asked: engine.Request) -> AsyncIterator[str]:
    while (step := await asyncio.to_thread(asked.told.get)) is not None:
        yield _event("step", {"t": step.t, "weights": step.weights})
    try:
        drawn = asked.done.result(timeout=0)
    except Exception as error:  # whatever it was, the page says so
        yield _event("failed", {"reason": " ".join(str(error).split())})
        return
    picture = base64.b64encode(png(drawn)).decode()
    yield _event("picture", {"png": picture, "asked": drawn.asked})


def _event(name: str, content: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(content)}\n\n"

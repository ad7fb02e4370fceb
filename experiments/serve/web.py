"""The page and its addresses: type a prompt, watch the router's weights while it draws."""

import asyncio
import base64
import io
import ipaddress
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from fastapi.templating import Jinja2Templates
from starlette.concurrency import run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware

from experiments.sample.pictures import shown
from experiments.sample.selections import GUIDANCE
from experiments.serve import engine
from experiments.serve.engine import BusyError, DrawingEngine, DrawnPicture, Step

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


def in_url(host: str) -> str:
    """A host as URLs have it: an IPv6 address in brackets, in its short form."""
    try:
        return f"[{ipaddress.IPv6Address(host.strip('[]')).compressed}]"
    except ValueError:
        return host


def app(drawing: DrawingEngine, experts: int, hosts: Sequence[str]) -> FastAPI:
    """hosts: the names under which it may be called; a page elsewhere cannot pass for it."""
    application = FastAPI(title="Experts served apart", docs_url=None, redoc_url=None)
    application.add_middleware(TrustedHostMiddleware, allowed_hosts=[*map(in_url, hosts)])

    async def submitted(*asked: Any) -> engine.Request:
        try:
            return await run_in_threadpool(drawing.submit, *asked)
        except BusyError as error:
            raise HTTPException(503, str(error)) from error
        except ValueError as error:
            raise HTTPException(422, str(error)) from error

    @application.get("/", response_class=HTMLResponse)
    def page(request: Request) -> Any:
        return TEMPLATES.TemplateResponse(request, "index.html", {"experts": experts})

    @application.get("/picture")
    async def picture(
        prompt: Prompt, seed: Seed = 0, steps: Steps = 25, cfg: Guidance = GUIDANCE
    ) -> Response:
        """The picture as PNG, and how many experts were asked a step."""
        drawn = await _drawn(await submitted(prompt, seed, steps, cfg))
        return Response(png(drawn), media_type="image/png", headers={"X-Asked": str(drawn.asked)})

    @application.get("/draw")
    async def draw(
        prompt: Prompt, seed: Seed = 0, steps: Steps = 25, cfg: Guidance = GUIDANCE
    ) -> StreamingResponse:
        """Events: `step` with t and weights, then `picture`, or `failed` with a reason."""
        told = asyncio.Queue[Step | None]()
        loop = asyncio.get_running_loop()

        def tell(step: Step | None) -> None:
            with suppress(RuntimeError):  # the server has ended
                loop.call_soon_threadsafe(told.put_nowait, step)

        asked = await submitted(prompt, seed, steps, cfg, tell)
        return StreamingResponse(_events(asked, told), media_type="text/event-stream")

    return application


async def _drawn(asked: engine.Request) -> DrawnPicture:
    """The picture, once it is there. No thread waits, and who leaves cancels nobody's batch."""
    return await asyncio.shield(asyncio.wrap_future(asked.done))


async def _events(asked: engine.Request, told: "asyncio.Queue[Step | None]") -> AsyncIterator[str]:
    while (step := await told.get()) is not None:
        yield _event("step", {"t": step.t, "weights": step.weights})
    try:
        drawn = await _drawn(asked)
    except Exception as error:  # whatever it was, the page says so
        yield _event("failed", {"reason": " ".join(str(error).split())})
        return
    picture = base64.b64encode(png(drawn)).decode()
    yield _event("picture", {"png": picture, "asked": drawn.asked})


def _event(name: str, content: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(content)}\n\n"

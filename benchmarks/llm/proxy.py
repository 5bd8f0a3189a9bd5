"""The least that a proxy in Python does: FastAPI in front, aiohttp behind, bodies passed on as they come."""

import os
from contextlib import asynccontextmanager

import aiohttp
from fastapi import FastAPI, Request
from starlette.responses import Response, StreamingResponse

UPSTREAM = os.environ["UPSTREAM"]


@asynccontextmanager
async def lifespan(app):
    async with aiohttp.ClientSession() as session:
        app.state.session = session
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/{path:path}")
async def relay(path: str, request: Request):
    body = await request.body()
    headers = {"content-type": request.headers.get("content-type", "application/json")}
    answer = await app.state.session.post(f"{UPSTREAM}/{path}", data=body, headers=headers)
    kind = answer.headers.get("content-type", "")
    if kind.startswith("text/event-stream"):
        return StreamingResponse(answer.content.iter_any(), media_type=kind)
    return Response(await answer.read(), answer.status, media_type=kind)

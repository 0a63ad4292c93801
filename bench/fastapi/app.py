"""The peer on FastAPI, PyJWT and aiomysql, as their documentation has it:
what goes in and out is declared by models.

Tuned: handlers and dependencies are coroutines (FastAPI runs others in
threads), and the access log is off.  With RAW=1 answers go past the models,
as a JSONResponse of what the handler has put together itself, which
documentation names as the way to avoid their cost.
"""
import os
import secrets
import time
from datetime import datetime, timedelta
from typing import List, Optional
from uuid import UUID

import aiomysql
import jwt
from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

COLUMNS = "id, title, description, completed, created_at, updated_at"
EPOCH = datetime(1970, 1, 1)
SECRET = os.environ["BETTER_AUTH_SECRET"]
ISSUER = os.environ["JWT_ISSUER"]
AUDIENCE = os.environ["JWT_AUDIENCE"]
RAW = os.environ.get("RAW") == "1"

app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
bearer = HTTPBearer(auto_error=False)


class Problem(Exception):
    def __init__(self, status: int, title: str, code: str, detail: str):
        self.status, self.title = status, title
        self.code, self.detail = code, detail


@app.exception_handler(Problem)
async def tell_problem(request: Request, problem: Problem):
    return JSONResponse(
        {
            "type": "about:blank",
            "title": problem.title,
            "status": problem.status,
            "code": problem.code,
            "detail": problem.detail,
            "request_id": request.headers.get("x-request-id"),
        },
        status_code=problem.status,
        media_type="application/problem+json",
    )


@app.on_event("startup")
async def connect():
    app.state.pool = await aiomysql.create_pool(
        unix_socket=os.environ["DB_SOCKET"],
        user=os.environ["DB_USER"],
        password=os.environ["DB_PASSWORD"],
        db=os.environ["DB_NAME"],
        charset="utf8mb4",
        autocommit=True,
        minsize=int(os.environ["DB_CONNECTIONS"]),
        maxsize=int(os.environ["DB_CONNECTIONS"]),
    )


@app.on_event("shutdown")
async def disconnect():
    app.state.pool.close()
    await app.state.pool.wait_closed()


async def tenant(
    user_id: str,
    credentials: Optional[HTTPAuthorizationCredentials] = Depends(bearer),
) -> str:
    if credentials is None:
        raise Problem(
            401,
            "Unauthorized",
            "token_missing",
            "Not authenticated: missing authentication token",
        )
    try:
        claims = jwt.decode(
            credentials.credentials,
            SECRET,
            algorithms=["HS256"],
            issuer=ISSUER,
            audience=AUDIENCE,
            options={"require": ["exp", "iat", "iss", "aud", "sub"]},
        )
    except jwt.ExpiredSignatureError:
        raise Problem(
            401, "Unauthorized", "token_expired", "Token has expired"
        )
    except jwt.InvalidTokenError:
        raise Problem(401, "Unauthorized", "token_invalid", "Invalid token")
    if claims.get("user_id") != user_id:
        raise Problem(
            403,
            "Forbidden",
            "forbidden",
            "Access forbidden: not authorized, "
            "user_id in URL does not match token",
        )
    return user_id


class NewTask(BaseModel):
    title: str = Field(min_length=1, max_length=200)
    description: Optional[str] = Field(None, max_length=1000)
    completed: bool = False


class Task(BaseModel):
    id: str
    user_id: str
    title: str
    description: Optional[str]
    completed: bool
    created_at: str
    updated_at: str


def task_of(user_id: str, row) -> dict:
    return {
        "id": str(UUID(bytes=row[0])),
        "user_id": user_id,
        "title": row[1],
        "description": row[2],
        "completed": row[3] != 0,
        "created_at": row[4].isoformat(timespec="microseconds") + "Z",
        "updated_at": row[5].isoformat(timespec="microseconds") + "Z",
    }


def answer(content, status: int = 200):
    return JSONResponse(content, status_code=status) if RAW else content


@app.get("/api/{user_id}/tasks", response_model=List[Task])
async def list_tasks(
    user_id: str = Depends(tenant), limit: int = Query(100, ge=1, le=500)
):
    async with app.state.pool.acquire() as connection:
        async with connection.cursor() as cursor:
            await cursor.execute(
                f"SELECT {COLUMNS} FROM tasks WHERE user_id = %s"
                " ORDER BY id DESC LIMIT %s",
                (user_id, limit),
            )
            rows = await cursor.fetchall()
    return answer([task_of(user_id, row) for row in rows])


@app.get("/api/{user_id}/tasks/{task_id}", response_model=Task)
async def read_task(task_id: UUID, user_id: str = Depends(tenant)):
    async with app.state.pool.acquire() as connection:
        async with connection.cursor() as cursor:
            await cursor.execute(
                f"SELECT {COLUMNS} FROM tasks"
                " WHERE user_id = %s AND id = %s",
                (user_id, task_id.bytes),
            )
            row = await cursor.fetchone()
    if row is None:
        raise Problem(404, "Not Found", "not_found", "There is nothing here")
    return answer(task_of(user_id, row))


def uuid7(microseconds: int) -> UUID:
    milliseconds, rest = divmod(microseconds, 1000)
    return UUID(
        int=milliseconds << 80
        | 7 << 76
        | (rest * 4096 // 1000) << 64
        | 2 << 62
        | secrets.randbits(62)
    )


@app.post("/api/{user_id}/tasks", response_model=Task, status_code=201)
async def create_task(task: NewTask, user_id: str = Depends(tenant)):
    microseconds = time.time_ns() // 1000
    now = EPOCH + timedelta(microseconds=microseconds)
    row = (
        uuid7(microseconds).bytes,
        task.title,
        task.description,
        task.completed,
        now,
        now,
    )
    async with app.state.pool.acquire() as connection:
        async with connection.cursor() as cursor:
            await cursor.execute(
                f"INSERT INTO tasks (user_id, {COLUMNS}, revision)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, 1)",
                (user_id, *row),
            )
    return answer(task_of(user_id, row), 201)

"""The baseline of the servers: a minimal FastAPI handler that scores rows.

Run as `python benchmarks/serving_handler.py BUNDLE PORT`.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import torch
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel

    from container_component_src.model.bundle import Bundle

    class Body(BaseModel):
        """Scaled rows."""

        instances: list[list[float]]

    model = Bundle.load(sys.argv[1]).model
    app = FastAPI()

    @app.post("/v1/models/model:predict")
    async def predict(body: Body) -> dict[str, list[dict[str, float | list[float]]]]:
        """Return scores, contributions and the reconstruction."""
        with torch.inference_mode():
            values = torch.tensor(body.instances, dtype=torch.float32)
            contributions, reconstruction = model(values)
            scores = contributions.sum(dim=1)
        rows = zip(scores.tolist(), contributions.tolist(), reconstruction.tolist(), strict=True)
        return {
            "predictions": [{"score": score, "parts": parts, "expected": expected} for score, parts, expected in rows]
        }

    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")

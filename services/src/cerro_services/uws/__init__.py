"""Jobs as UWS 1.1 describes them: remembered, queued by fair share, run in processes of their own.

Nothing here knows what a job does. A service says so with a `Kind`, gives it to `routes`, and
registers it in `cerro_services.kinds`, from which workers take what they can run.
"""

from cerro_services.uws.jobs import Jobs
from cerro_services.uws.kinds import Estimate, Kind, Task
from cerro_services.uws.model import JobError, Pairs, Phase, Progress
from cerro_services.uws.routes import routes

__all__ = ["Estimate", "JobError", "Jobs", "Kind", "Pairs", "Phase", "Progress", "Task", "routes"]

"""Creates the service of a file with OSCAR's own client: apply.py CLUSTER FILE"""

import os
import sys

from oscar_python.client import Client

cluster, path = sys.argv[1:]
options = {
    "cluster_id": cluster,
    "endpoint": os.environ["SPILLWAY_API"],
    "user": os.environ["SPILLWAY_USER"],
    "password": os.environ["SPILLWAY_PASSWORD"],
    "ssl": False,
}
Client(options).create_service(path)

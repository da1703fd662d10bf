#!/bin/sh
# A Spark cluster on this machine, to try the second engine: a standalone master, two workers of one
# core each, and a Spark Connect server, all on the loopback. Needs Java 17 and about 4 GB.
#
#   tests/support/spark.sh up      install (first time), start, wait until it answers
#   tests/support/spark.sh down    stop what `up` started
#   tests/support/spark.sh test    the conformance queries and Spark's own tests
#   tests/support/spark.sh bench   the benchmark of docs/engines.md
#   tests/support/spark.sh shell … run a command with Spark's client
#
# CERRO_SPARK_DIR holds the two environments, logs and scratch files; .venv is used, not changed.
# CERRO_SPARK_PACKAGE names pyspark's file if it has been downloaded before (460 MB).
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
DIR=${CERRO_SPARK_DIR:-$ROOT/.venv/spark}
MASTER_PORT=${CERRO_SPARK_MASTER_PORT:-27077}
PORT=${CERRO_SPARK_PORT:-25002}
WORKER_MEMORY=${CERRO_SPARK_WORKER_MEMORY:-1500m}
EXECUTOR_MEMORY=${CERRO_SPARK_EXECUTOR_MEMORY:-1100m}
PYTHON=$ROOT/.venv/bin/python
UV=$ROOT/.venv/bin/uv
export CERRO_SPARK_URL="sc://127.0.0.1:$PORT"

# The server is of the newest Spark; the client is the pure-Python one that the service uses. Both
# see the packages of .venv behind their own.
install() {
  [ -e "$DIR/installed" ] && return
  command -v java > /dev/null || { echo "Spark needs Java 17 or newer: apt-get install openjdk-17-jre-headless" >&2; exit 1; }
  echo "==> Installing Spark into $DIR"
  mkdir -p "$DIR"
  SITE=$("$PYTHON" -c 'import site; print(site.getsitepackages()[0])')
  for side in server client; do
    "$UV" venv --quiet --clear --python "$PYTHON" "$DIR/$side"
    own=$("$DIR/$side/bin/python" -c 'import site; print(site.getsitepackages()[0])')
    echo "import site; site.addsitedir('$SITE')" > "$own/cerro.pth"
  done
  "$UV" pip install --quiet --no-deps --python "$DIR/server/bin/python" \
    "${CERRO_SPARK_PACKAGE:-pyspark==4.3.0}" py4j==0.10.9.9
  "$UV" pip install --quiet --no-deps --python "$DIR/client/bin/python" \
    pyspark-client==4.2.0 grpcio==1.85.1 grpcio-status==1.85.1 googleapis-common-protos==1.76.0 protobuf==7.36.2 zstandard==0.25.0
  touch "$DIR/installed"
}

begin() { # name command…
  name=$1; shift
  nohup "$@" > "$DIR/$name.log" 2>&1 &
  echo $! > "$DIR/$name.pid"
}

up() {
  install
  [ -e "$DIR/connect.pid" ] && kill -0 "$(cat "$DIR/connect.pid")" 2> /dev/null && { echo "It runs at $CERRO_SPARK_URL"; return; }
  SPARK_HOME=$("$DIR/server/bin/python" -c 'from importlib.util import find_spec; print(find_spec("pyspark").submodule_search_locations[0])')
  export SPARK_HOME SPARK_LOCAL_IP=127.0.0.1 SPARK_LOCAL_DIRS="$DIR/scratch" SPARK_NO_DAEMONIZE=1
  export PYSPARK_PYTHON="$DIR/server/bin/python"
  mkdir -p "$DIR/scratch"
  export SPARK_DAEMON_MEMORY=256m
  begin master "$SPARK_HOME/bin/spark-class" org.apache.spark.deploy.master.Master \
    --host 127.0.0.1 --port "$MASTER_PORT" --webui-port 0
  for i in 1 2; do
    begin "worker$i" "$SPARK_HOME/bin/spark-class" org.apache.spark.deploy.worker.Worker \
      --host 127.0.0.1 --cores 1 --memory "$WORKER_MEMORY" --webui-port 0 --work-dir "$DIR/work$i" \
      "spark://127.0.0.1:$MASTER_PORT"
  done
  SPARK_DAEMON_MEMORY=1g begin connect "$SPARK_HOME/bin/spark-submit" \
    --master "spark://127.0.0.1:$MASTER_PORT" \
    --class org.apache.spark.sql.connect.service.SparkConnectServer \
    --executor-cores 1 --executor-memory "$EXECUTOR_MEMORY" \
    --conf spark.driver.host=127.0.0.1 --conf spark.driver.bindAddress=127.0.0.1 \
    --conf spark.connect.grpc.binding.address=127.0.0.1 --conf "spark.connect.grpc.binding.port=$PORT" \
    --conf spark.ui.enabled=false --conf spark.sql.catalogImplementation=in-memory \
    --conf spark.task.reaper.enabled=true --conf spark.task.reaper.killTimeout=5s \
    --conf spark.task.reaper.pollingInterval=1s \
    --conf spark.scheduler.mode=FAIR --conf spark.connect.execute.manager.detachedTimeout=30s \
    --conf spark.sql.warehouse.dir="$DIR/scratch/warehouse" spark-internal
  # Answers when both workers have taken a part of a query.
  "$DIR/client/bin/python" -W ignore -m tests.support.spark_ready || { tail -n 20 "$DIR/connect.log"; exit 1; }
}

down() {
  for name in connect worker1 worker2 master; do
    [ -e "$DIR/$name.pid" ] || continue
    pid=$(cat "$DIR/$name.pid"); kill "$pid" 2> /dev/null || true
    for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" 2> /dev/null || break; sleep 0.5; done
    rm -f "$DIR/$name.pid"
  done
  rm -rf "$DIR/scratch" "$DIR/work1" "$DIR/work2"
}

cd "$ROOT"
case ${1:-} in
  up) up ;;
  down) down ;;
  test) shift; "$DIR/client/bin/python" -W ignore -m pytest services/tests/engine -k spark "$@" ;;
  bench) shift; "$DIR/client/bin/python" -W ignore -m bench.engines "$@" ;;
  shell) shift; PATH="$DIR/client/bin:$PATH" "$@" ;;
  *) sed -n '2,12p' "$0"; exit 2 ;;
esac

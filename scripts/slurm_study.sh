#!/bin/bash
# A study on SLURM. Preempted, or out of time, it goes back to SLURM's queue and later on where it stopped, each trial
# from its checkpoint. As an array its first task leads the study and the others help it. docs/guide.md, SLURM:
#
#   sbatch --array=0-3 scripts/slurm_study.sh --spec FILE --storage postgresql://user@host/database
#
#SBATCH --job-name=fxai
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
#SBATCH --signal=USR2@60
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log

helping=()
if [ "${SLURM_ARRAY_TASK_ID:-first}" != "${SLURM_ARRAY_TASK_MIN:-first}" ]; then
    helping=(--join --wait 600)
fi

# srun, so that signals reach FxAI and not this shell alone; since SLURM 22.05 it must be told the cores once more
srun --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" \
    python optuna_optimization.py "$@" --n-jobs "${SLURM_CPUS_PER_TASK:-1}" "${helping[@]}"
code=$?

# 143: handed everything back when the time was nearly up; 140: the same signal before or after the study itself.
# Preemption ends this shell too and requeues by itself; scancel ends it and requeues nothing.
if [ $code -eq 143 ] || [ $code -eq 140 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit $code

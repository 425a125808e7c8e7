/*
 * A secret whose value somebody else has: a driver is asked for it whenever a container needs it. What a
 * driver is told of the secret are its labels, so who may write this one may read what the driver knows.
 */

/** Labels below it are the cluster's own: only operators write them. */
export const ownLabelPrefix = 'conclave.docker/'

/** The name of the driver. The secret itself has a value of no bytes. */
export const secretDriverLabel = `${ownLabelPrefix}driver`
